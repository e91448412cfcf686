// SPDX-License-Identifier: Apache-2.0
// rondo-bench-micro: what the pieces of the runtime cost, one JSON object a line.
// The metrics and their names are those of the peers in bench/peers/micro, so that one table can
// hold them all. Written on the public API.
#include <cstdio>
#include <string_view>

#include "measure.hpp"
#include "rondo/core/loop.hpp"

namespace {

rondo::Task<> pieces() {
  co_await bench::tasks();
  co_await bench::hops();
  co_await bench::timers();
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view mode = argc > 1 ? argv[1] : "";
  // Not pinned: a pool uses all CPUs, and a child would inherit it.
  if (mode == "files") return bench::files();
  if (mode == "spawn") return bench::spawn();
  bench::pin(0);
  if (mode == "network") return bench::network();
  if (!mode.empty()) {
    std::fputs("usage: rondo-bench-micro [spawn | files | network]\n", stderr);
    return 2;
  }
  const int status = rondo::run(pieces());
  const int precise = bench::precise_timers();
  bench::unpin();
  bench::threads();
  return status + precise;
}
