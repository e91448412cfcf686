# SPDX-License-Identifier: Apache-2.0
# Libraries from outside, each by its Debian 12 package. A missing one is named with its package.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

function(rondo_require target module package)
  pkg_check_modules(${target} QUIET IMPORTED_TARGET GLOBAL "${module}")
  if(NOT ${target}_FOUND)
    message(FATAL_ERROR "${module} is missing. On Debian 12: apt-get install ${package}, "
                        "or everything at once: tools/bootstrap run")
  endif()
endfunction()

rondo_require(uring "liburing >= 2.3" liburing-dev)
rondo_require(cares "libcares" libc-ares-dev)
rondo_require(zlib "zlib" zlib1g-dev)
rondo_require(nghttp2 "libnghttp2 >= 1.52" libnghttp2-dev)
rondo_require(ssl "libssl >= 3" libssl-dev)
rondo_require(crypto "libcrypto >= 3" libssl-dev)
rondo_require(sqlite "sqlite3" libsqlite3-dev)
if(RONDO_APPS)
  rondo_require(sodium "libsodium" libsodium-dev)
  rondo_require(fmt "fmt" libfmt-dev)
  rondo_require(spdlog "spdlog" libspdlog-dev)
  rondo_require(tomlplusplus "tomlplusplus" libtomlplusplus-dev)
  rondo_require(cli11 "CLI11" libcli11-dev)
  find_package(boost_json 1.81 CONFIG QUIET)
  if(NOT boost_json_FOUND)
    message(FATAL_ERROR "Boost.JSON 1.81 is missing. On Debian 12: apt-get install libboost-json1.81-dev")
  endif()
endif()

# llhttp comes as C sources: Node's own HTTP/1 parser, compiled into the build.
find_path(RONDO_LLHTTP_INCLUDE llhttp.h PATHS /usr/share/include/llhttp /usr/include/llhttp)
find_path(RONDO_LLHTTP_SOURCE api.c PATHS /usr/share/llhttp)
if(NOT RONDO_LLHTTP_INCLUDE OR NOT RONDO_LLHTTP_SOURCE)
  message(FATAL_ERROR "llhttp's C sources are missing. On Debian 12: apt-get install node-llhttp, "
                      "or set RONDO_LLHTTP_SOURCE and RONDO_LLHTTP_INCLUDE")
endif()
add_library(rondo_llhttp OBJECT
  ${RONDO_LLHTTP_SOURCE}/api.c ${RONDO_LLHTTP_SOURCE}/http.c ${RONDO_LLHTTP_SOURCE}/llhttp.c)
target_include_directories(rondo_llhttp SYSTEM PUBLIC ${RONDO_LLHTTP_INCLUDE})
target_compile_definitions(rondo_llhttp PUBLIC LLHTTP_STRICT_MODE=1)
target_compile_options(rondo_llhttp PRIVATE -w)
target_link_libraries(rondo_llhttp PRIVATE rondo_flags)
