// SPDX-License-Identifier: Apache-2.0
#include "rondo/core/copy.hpp"

#include <functional>
#include <optional>

#include "rondo/core/scope.hpp"
#include "rondo/core/sleep.hpp"

namespace rondo {
namespace {

Task<Result<>> pump(ByteStream& from, ByteStream& to, std::uint64_t& count) {
  while (true) {
    const Loan piece = co_await from.read().or_return();
    if (piece.empty()) break;
    co_await to.write_all(piece.bytes()).or_return();
    count += piece.size();
  }
  co_await to.flush().or_return();
  co_return Result<>{};
}

struct Ends {
  Scope& scope;
  std::optional<Error>& failure;
};

Task<> one_way(ByteStream& from, ByteStream& to, std::uint64_t& count, Ends ends) {
  auto done = co_await pump(from, to, count);
  if (done) co_return to.shutdown_write();
  if (!ends.failure) ends.failure = done.error();
  ends.scope.cancel({"the other direction failed"});
}

}  // namespace

Task<Result<std::uint64_t>> copy(ByteStream& from, ByteStream& to) {
  std::uint64_t count = 0;
  co_await pump(from, to, count).or_return();
  co_return count;
}

Task<Result<Copied>> copy_bidirectional(ByteStream& first, ByteStream& second, Copied* progress) {
  Copied own;
  Copied& copied = progress ? *progress : own;
  std::optional<Error> failure;
  co_await with_scope([&](Scope& scope) -> Task<> {
    const Ends ends{scope, failure};
    scope.start(one_way, std::ref(first), std::ref(second), std::ref(copied.forth), ends);
    scope.start(one_way, std::ref(second), std::ref(first), std::ref(copied.back), ends);
    co_return;
  });
  // The scope's body has ended long ago: a cancel from outside ended the children only.
  co_await checkpoint();
  if (failure) co_return *failure;
  co_return copied;
}

}  // namespace rondo
