// SPDX-License-Identifier: Apache-2.0
// Two programs and a pipe between them: `printf ... | sort`, without a shell. Each is a child
// whose streams are ByteStreams; both are gone when their scope is left, whatever happens in it.
#include <cstdio>
#include <rondo/rondo.hpp>

using namespace rondo;
using namespace rondo::literals;
using process::Process;
using process::Stdio;

namespace {

/// Moves what one program writes into what the other one reads.
Task<> connect(process::PipeStream& from, process::PipeStream& to) {
  while (auto got = co_await from.read()) {
    if (got->empty()) break;
    if (!co_await to.write_all(got->bytes())) break;
  }
  to.shutdown_write();  // The reader sees the end.
}

Task<int> program() {
  auto source = Process::spawn({.program = "printf",
                                .arguments = {"%s\\n", "pear", "apple", "fig"},
                                .output = Stdio::pipe()})
                    .or_throw();
  auto sort = Process::spawn({.program = "sort",
                              .environment = {.set = {"LC_ALL=C"}},
                              .input = Stdio::pipe(),
                              .output = Stdio::pipe()})
                  .or_throw();
  co_await connect(source.output(), sort.input());
  while (auto line = co_await sort.output().read_line()) {
    if (line->empty()) break;
    std::printf("sorted: %.*s\n", static_cast<int>(chomp(line->text()).size()),
                line->text().data());
  }
  const auto first = co_await source.wait().or_throw();
  const auto second = co_await sort.wait().or_throw();
  std::printf("%s, %s\n", first.describe().c_str(), second.describe().c_str());

  // In one call, when the output is wanted whole:
  const auto count =
      co_await process::capture({.program = "wc", .arguments = {"-c"}}, {.input = "twelve bytes"})
          .or_throw();
  std::printf("wc counts %s", count.output.c_str());

  // Time is a bracket: the child is killed and taken away before it returns.
  auto slow = process::run_process({.program = "sleep", .arguments = {"60"}});
  auto ended = co_await with_timeout(10ms, std::move(slow));
  std::printf("sleep: %s\n", describe(ended.error().code()).c_str());
  co_return 0;
}

}  // namespace

int main() { return run(program()); }
