// SPDX-License-Identifier: Apache-2.0
// Which compilers may read the other headers: those that compile coroutines correctly.
//
// The first include of every header that includes no other of ours, so that an older compiler
// says one sentence instead of a riddle of template errors.
// Thread rule: no code.
#pragma once

#if defined(__clang__) ? __clang_major__ < 19 : !defined(__GNUC__) || __GNUC__ < 14
#error "Rondo needs Clang 19 or later, or GCC 14 or later: earlier ones miscompile coroutines."
// Compilers go on after #error; none goes on without a file that it wants to include.
#include "rondo/base: take another compiler, on Debian 12 clang++-19"
#elif __cplusplus <= 202002L
#error "Rondo needs C++23: compile with -std=c++23, or link rondo::rondo, which asks for it."
#include "rondo/base: compile with -std=c++23"
#endif
