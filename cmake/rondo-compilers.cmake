# SPDX-License-Identifier: Apache-2.0
# The compilers that are refused, by Rondo's own build and by find_package(rondo) elsewhere.
set(rondo_compiler_help
    "On Debian 12: apt-get install clang-19 lld-19, then configure a fresh build folder with\n"
    "  -DCMAKE_C_COMPILER=clang-19 -DCMAKE_CXX_COMPILER=clang++-19\n"
    "(Rondo itself: cmake --preset release).")

if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 14)
  message(FATAL_ERROR
    "GCC ${CMAKE_CXX_COMPILER_VERSION} cannot compile Rondo: GCC before 14 miscompiles coroutines. "
    "It destroys or copies temporaries of a co_await expression wrongly (15 of the 46 patterns in "
    "tests/regress/coroutine_lifetime_test.cpp; the worst is co_await f([s]{...}) with a "
    "non-trivial capture), which would corrupt memory silently.\n"
    ${rondo_compiler_help})
elseif(CMAKE_CXX_COMPILER_ID MATCHES "Clang" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 19)
  message(FATAL_ERROR
    "Clang ${CMAKE_CXX_COMPILER_VERSION} cannot compile Rondo: it is built and tested with Clang 19; "
    "earlier ones lack C++23 features it uses (deducing this, std::expected with libstdc++) and "
    "have known coroutine bugs.\n"
    ${rondo_compiler_help})
elseif(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang|GNU")
  message(FATAL_ERROR
    "${CMAKE_CXX_COMPILER_ID} cannot compile Rondo: only Clang 19 or later (tested) and GCC 14 or "
    "later are known to compile its coroutines correctly.\n"
    ${rondo_compiler_help})
endif()
