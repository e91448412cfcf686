// SPDX-License-Identifier: Apache-2.0
// Immediate<Op>: an operation that completes inside of submit, with room for its answer.
// Thread rule: the loop's thread.
#pragma once

#include <cstdint>

#include "rondo/core/loop.hpp"
#include "rondo/io/operation.hpp"

namespace rondo::detail {

template <class Op>
struct Immediate : Op {
  std::int32_t result = 0;
  Immediate() {
    this->on_complete = [](io::Operation& op, const io::Completion& done) noexcept {
      static_cast<Immediate&>(op).result = done.result;
    };
  }
  std::int32_t ask() {
    Loop::current().driver().submit(*this);
    return result;
  }
};

}  // namespace rondo::detail
