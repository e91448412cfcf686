// SPDX-License-Identifier: Apache-2.0
// What a program said to be stored, is it there after a power cut? The same notebook with and
// without a sync before it says so, on a simulated disk whose power goes at every call in turn.
#include <fcntl.h>

#include <cstdio>
#include <string>

#include "rondo/rondo.hpp"
#include "rondo/testing/sim_world.hpp"

using namespace rondo;
using namespace rondo::literals;
using testing::SimDisk;

/// Writes notes of ten bytes, and counts those of which it told somebody that they are stored.
Task<> keep_notes(SimDisk disk, bool careful, std::uint64_t& told) {
  auto file = disk.open("/notes", O_RDWR | O_CREAT);
  if (!file) co_return;
  while (true) {
    const std::string note = "note 0000\n";
    if (!file->write(as_bytes(note), told * note.size())) co_return;
    if (careful && !file->sync()) co_return;
    ++told;
    co_await sleep_for(1ms);
  }
}

/// Notes that were promised and are not there, after a power cut before call number `call`.
std::uint64_t lost(std::uint64_t call, bool careful) {
  testing::SimWorld world({.seed = call});
  testing::SimHost& host = world.host("notebook", "10.0.0.1");
  std::uint64_t told = 0;
  host.disk().before_call(call, [&] { world.power_off("notebook"); });
  host.start([&] { return keep_notes(host.disk(), careful, told); });
  world.run_for(1s);

  const std::string kept = host.disk().read_file("/notes").value_or("");
  std::uint64_t found = 0;
  while (kept.substr(found * 10, 10) == "note 0000\n") ++found;
  return told > found ? told - found : 0;
}

int main() {
  for (const bool careful : {true, false}) {
    int broken = 0;
    for (std::uint64_t call = 1; call <= 100; ++call) broken += lost(call, careful) > 0;
    std::printf("%s: %s\n", careful ? "with a sync" : "without",
                broken == 0 ? "every promise was kept" : "promises were broken");
  }
}
