# SPDX-License-Identifier: Apache-2.0
# The flags that everything is built with; rondo-compilers.cmake refuses compilers.

include("${CMAKE_CURRENT_LIST_DIR}/rondo-compilers.cmake")
if(NOT CMAKE_SYSTEM_NAME STREQUAL "Linux")
  message(FATAL_ERROR "Rondo runs on Linux (io_uring or epoll), not on ${CMAKE_SYSTEM_NAME}.")
endif()

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 11)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O3 -DNDEBUG")
set(CMAKE_C_FLAGS_RELEASE "-O3 -DNDEBUG")
set(CMAKE_CXX_FLAGS_DEBUG "-O0 -g1")
set(CMAKE_C_FLAGS_DEBUG "-O1 -g1")

# A compiler cache pays for itself at the second preset. Sloppiness: precompiled headers are
# keyed by content then, not by time stamp.
find_program(RONDO_CCACHE ccache)
if(RONDO_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(launcher "${CMAKE_COMMAND}" -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      "CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}" "${RONDO_CCACHE}")
  set(CMAKE_CXX_COMPILER_LAUNCHER ${launcher})
  set(CMAKE_C_COMPILER_LAUNCHER ${launcher})
endif()

# What every target is built with. Frame pointers: the watchdog walks them. __FILE__ in messages
# and debug lines is relative to the project, so that builds reproduce; the cache hands the
# compiler paths relative to the build folder.
file(RELATIVE_PATH rondo_up "${CMAKE_BINARY_DIR}" "${CMAKE_SOURCE_DIR}")
string(APPEND rondo_up "/")
string(REPLACE "//" "/" rondo_up "${rondo_up}")
add_library(rondo_flags INTERFACE)
target_compile_options(rondo_flags INTERFACE
  -fno-omit-frame-pointer
  "-ffile-prefix-map=${CMAKE_SOURCE_DIR}/=" "-ffile-prefix-map=${rondo_up}=")

# Our own sources are clean under these; what comes from outside is a system include.
add_library(rondo_warnings INTERFACE)
target_compile_options(rondo_warnings INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wshadow -Wconversion>
  $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<CXX_COMPILER_ID:Clang>>:-Wno-missing-designated-field-initializers>
  $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<BOOL:${RONDO_WERROR}>>:-Werror>)

if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  target_compile_options(rondo_flags INTERFACE -mno-omit-leaf-frame-pointer)
  find_program(RONDO_LLD NAMES ld.lld-${CMAKE_CXX_COMPILER_VERSION_MAJOR} ld.lld-19 ld.lld)
  if(RONDO_LLD)
    target_link_options(rondo_flags INTERFACE -fuse-ld=lld)
  endif()
  if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT RONDO_SANITIZE)
    if(NOT RONDO_LLD)
      message(FATAL_ERROR "The release build needs lld for thin LTO. On Debian 12: apt-get install lld-19")
    endif()
    # Fat objects: the installed library also links with compilers that cannot read LLVM bitcode.
    set(rondo_lto -flto=thin -ffat-lto-objects)
    target_compile_options(rondo_flags INTERFACE ${rondo_lto})
    target_link_options(rondo_flags INTERFACE ${rondo_lto} -Wl,--gc-sections
      "-Wl,--thinlto-cache-dir=${CMAKE_BINARY_DIR}/lto-cache")
  endif()
endif()

if(RONDO_SANITIZE)
  target_compile_options(rondo_flags INTERFACE
    -fsanitize=${RONDO_SANITIZE} -fno-sanitize-recover=all -fno-inline)
  target_link_options(rondo_flags INTERFACE -fsanitize=${RONDO_SANITIZE})
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Debug")
  target_compile_definitions(rondo_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:_GLIBCXX_ASSERTIONS>)
endif()

# Bugs that rondo-sim must find (rondo/base/simulation.hpp); asleep until one is chosen.
if(RONDO_PLANTED_BUGS)
  target_compile_definitions(rondo_flags INTERFACE RONDO_PLANTED_BUGS)
endif()
