# SPDX-License-Identifier: Apache-2.0
# Tests: one GoogleTest program per folder, so that a change relinks one small program.
find_package(GTest 1.12 CONFIG QUIET)
if(NOT GTest_FOUND)
  message(FATAL_ERROR "GoogleTest is missing. On Debian 12: apt-get install libgtest-dev libgmock-dev, "
                      "or everything at once: tools/bootstrap test")
endif()

# A foreign loop for Rondo to be embedded in (tests/integration/host_libuv_test.cpp).
pkg_check_modules(libuv QUIET IMPORTED_TARGET GLOBAL "libuv")
if(NOT libuv_FOUND)
  message(FATAL_ERROR "libuv is missing. On Debian 12: apt-get install libuv1-dev, "
                      "or everything at once: tools/bootstrap test")
endif()

# gtest, gmock and the standard headers are two thirds of a test's compile time.
add_library(rondo_test_flags INTERFACE)
target_include_directories(rondo_test_flags INTERFACE
  "${CMAKE_SOURCE_DIR}/tests/support" "${CMAKE_SOURCE_DIR}/src" "${CMAKE_SOURCE_DIR}/include")
target_link_libraries(rondo_test_flags INTERFACE GTest::gtest GTest::gmock GTest::gtest_main)
target_compile_definitions(rondo_test_flags INTERFACE
  RONDO_SOURCE_DIR="${CMAKE_SOURCE_DIR}" RONDO_BINARY_DIR="${CMAKE_BINARY_DIR}")
# An executable, like its users: position-independent code differs between the two kinds.
add_executable(rondo_test_pch EXCLUDE_FROM_ALL "${CMAKE_BINARY_DIR}/empty.cpp")
target_link_libraries(rondo_test_pch PRIVATE rondo_test_flags rondo_flags rondo_warnings)
target_precompile_headers(rondo_test_pch PRIVATE
  <gtest/gtest.h> <gmock/gmock.h> <coroutine> <chrono> <memory> <string> <vector> <map>)
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  # By content, not by time: lets ccache answer for what is built with the precompiled header.
  target_compile_options(rondo_test_flags INTERFACE "SHELL:-Xclang -fno-pch-timestamp")
endif()

add_custom_target(rondo_all_tests)

# rondo_test_program(NAME n SOURCES ... LIBRARIES ...)
function(rondo_test_program)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "NAME" "SOURCES;LIBRARIES")
  if(NOT arg_SOURCES)
    return()
  endif()
  add_executable(${arg_NAME} ${arg_SOURCES})
  target_link_libraries(${arg_NAME} PRIVATE rondo_test_flags rondo_warnings ${arg_LIBRARIES})
  target_precompile_headers(${arg_NAME} REUSE_FROM rondo_test_pch)
  set_target_properties(${arg_NAME} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
  add_dependencies(rondo_all_tests ${arg_NAME})
  add_test(NAME ${arg_NAME} COMMAND ${arg_NAME})
endfunction()

# base and proto link nothing above themselves; from io on, tests may use rondo/testing.
file(GLOB unit_folders CONFIGURE_DEPENDS LIST_DIRECTORIES true "${CMAKE_SOURCE_DIR}/tests/unit/*")
foreach(folder IN LISTS unit_folders)
  get_filename_component(layer "${folder}" NAME)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${folder}/*_test.cpp")
  set(library rondo)
  if(layer MATCHES "^(base|proto)$")
    set(library rondo_${layer})
  endif()
  rondo_test_program(NAME unit_${layer} SOURCES ${sources} LIBRARIES ${library})
endforeach()

foreach(folder conformance regress integration)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/tests/${folder}/*_test.cpp")
  set(libraries rondo)
  if(folder STREQUAL "integration")
    list(APPEND libraries PkgConfig::libuv)
  endif()
  rondo_test_program(NAME ${folder} SOURCES ${sources} LIBRARIES ${libraries})
endforeach()

foreach(adapter IN LISTS RONDO_ADAPTERS)
  string(REPLACE "rondo_" "" name ${adapter})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/adapters/${name}/tests/*_test.cpp")
  rondo_test_program(NAME adapter_${name} SOURCES ${sources} LIBRARIES ${adapter} PkgConfig::sqlite
    $<TARGET_NAME_IF_EXISTS:${adapter}_sim>)
endforeach()

file(GLOB app_folders CONFIGURE_DEPENDS LIST_DIRECTORIES true "${CMAKE_SOURCE_DIR}/apps/*")
foreach(folder IN LISTS app_folders)
  get_filename_component(name "${folder}" NAME)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${folder}/tests/*_test.cpp")
  list(FILTER sources EXCLUDE REGEX "/node_modules/|/web/")
  if(TARGET rondo_apps)
    rondo_test_program(NAME app_${name} SOURCES ${sources} LIBRARIES rondo_apps)
  endif()
endforeach()

# Every public header compiles alone, and twice in a row.
file(GLOB_RECURSE headers CONFIGURE_DEPENDS RELATIVE "${CMAKE_SOURCE_DIR}/include"
  "${CMAKE_SOURCE_DIR}/include/rondo/*.hpp")
set(header_sources "")
foreach(header IN LISTS headers)
  string(MAKE_C_IDENTIFIER "${header}" id)
  set(source "${CMAKE_BINARY_DIR}/headers/${id}.cpp")
  file(CONFIGURE OUTPUT "${source}" CONTENT "#include \"${header}\"\n#include \"${header}\"\n")
  list(APPEND header_sources "${source}")
endforeach()
if(header_sources)
  add_library(rondo_headers OBJECT EXCLUDE_FROM_ALL ${header_sources})
  target_include_directories(rondo_headers PRIVATE "${CMAKE_SOURCE_DIR}/include")
  target_compile_options(rondo_headers PRIVATE -g0)
  target_link_libraries(rondo_headers PRIVATE rondo_warnings)
endif()
