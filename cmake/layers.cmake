# SPDX-License-Identifier: Apache-2.0
# The layers, lowest first. A target sees only the layers named after DEPENDS; tools/tidy checks
# the same on every include line (tools/tidy/layers.txt).

set(RONDO_LAYERS "")
# A layer may still be empty; CMake wants one source in every library.
file(WRITE "${CMAKE_BINARY_DIR}/empty.cpp.in" "// A layer without sources of its own.\n")
configure_file("${CMAKE_BINARY_DIR}/empty.cpp.in" "${CMAKE_BINARY_DIR}/empty.cpp" COPYONLY)

function(rondo_layer name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "DEPENDS;LIBRARIES;OBJECTS;SOURCES")
  if(NOT arg_SOURCES)
    file(GLOB_RECURSE arg_SOURCES CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/src/${name}/*.cpp")
  endif()
  if(NOT arg_SOURCES)
    set(arg_SOURCES "${CMAKE_BINARY_DIR}/empty.cpp")
  endif()
  set(objects "")
  foreach(object IN LISTS arg_OBJECTS)
    list(APPEND objects $<TARGET_OBJECTS:${object}>)
  endforeach()
  add_library(rondo_${name} STATIC EXCLUDE_FROM_ALL ${arg_SOURCES} ${objects})
  target_include_directories(rondo_${name}
    PUBLIC "${CMAKE_SOURCE_DIR}/include" PRIVATE "${CMAKE_SOURCE_DIR}/src")
  list(TRANSFORM arg_DEPENDS PREPEND rondo_)
  target_link_libraries(rondo_${name}
    PUBLIC rondo_flags ${arg_DEPENDS} PRIVATE rondo_warnings ${arg_LIBRARIES})
  set(RONDO_LAYERS ${RONDO_LAYERS} rondo_${name} PARENT_SCOPE)
endfunction()

# A driver is part of the io layer; the three see the interface and never each other.
function(rondo_driver name)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/src/io/${name}/*.cpp")
  if(NOT sources)
    set(sources "${CMAKE_BINARY_DIR}/empty.cpp")
  endif()
  add_library(rondo_io_${name} OBJECT EXCLUDE_FROM_ALL ${sources})
  target_include_directories(rondo_io_${name}
    PRIVATE "${CMAKE_SOURCE_DIR}/include" "${CMAKE_SOURCE_DIR}/src")
  target_link_libraries(rondo_io_${name} PRIVATE rondo_flags rondo_warnings ${ARGN})
endfunction()

rondo_layer(base)
set(formats PkgConfig::zlib PkgConfig::brotlienc PkgConfig::brotlidec PkgConfig::zstd
    PkgConfig::psl PkgConfig::nghttp2)
rondo_layer(proto DEPENDS base LIBRARIES rondo_llhttp ${formats} OBJECTS rondo_llhttp)
rondo_driver(uring PkgConfig::uring)
rondo_driver(epoll)
rondo_driver(sim)
file(GLOB io_shared CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/src/io/*.cpp")
rondo_layer(io DEPENDS base LIBRARIES PkgConfig::uring SOURCES ${io_shared}
            OBJECTS rondo_io_uring rondo_io_epoll rondo_io_sim)
rondo_layer(core DEPENDS io LIBRARIES Threads::Threads)
rondo_layer(net DEPENDS core proto LIBRARIES PkgConfig::cares)
rondo_layer(fs DEPENDS core)
rondo_layer(process DEPENDS core)
rondo_layer(tls DEPENDS core LIBRARIES PkgConfig::ssl)
rondo_layer(http DEPENDS core proto net fs tls)
rondo_layer(ws DEPENDS http LIBRARIES PkgConfig::crypto)
rondo_layer(inspect DEPENDS ws process)
rondo_layer(testing DEPENDS ws process)

# The library as users link it: every layer in one archive, used by everything that is not a
# test of a single layer.
set(rondo_objects "")
# A layer's own objects do not hold those it took from its drivers or from llhttp.
foreach(layer IN LISTS RONDO_LAYERS ITEMS rondo_io_uring rondo_io_epoll rondo_io_sim rondo_llhttp)
  list(APPEND rondo_objects $<TARGET_OBJECTS:${layer}>)
endforeach()
add_library(rondo STATIC ${rondo_objects})
add_library(rondo::rondo ALIAS rondo)
target_include_directories(rondo PUBLIC
  $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include> $<INSTALL_INTERFACE:include>)
target_link_libraries(rondo PUBLIC
  $<BUILD_INTERFACE:rondo_flags> PkgConfig::uring PkgConfig::cares ${formats}
  PkgConfig::ssl PkgConfig::crypto Threads::Threads)
target_compile_features(rondo PUBLIC cxx_std_23)
