// SPDX-License-Identifier: Apache-2.0
// Terminal: a pseudo-terminal, for programs that want to talk to one.
//
//   auto terminal = Terminal::open({.size = {.rows = 40, .columns = 120}}).or_throw();
//   auto shell = Process::spawn({.program = "bash", .terminal = &terminal}).or_throw();
//   co_await terminal.write_all("ls\n");
//   while (auto got = co_await terminal.read()) if (got->empty()) break;   // the program's output
//
// The child leads a session of its own whose controlling terminal this is: Ctrl-C (write "\x03")
// becomes SIGINT for its foreground group, closing the Terminal SIGHUP. Reading ends when the
// last process on the terminal has closed it. Output comes as the terminal shows it: with echo,
// and with CR LF at line ends unless `raw`.
// One child per Terminal. Under sim: not_supported.
// Lifetime: outlives spawn(); the child may outlive it. Thread rule: the loop's thread.
#pragma once

#include "rondo/base/result.hpp"
#include "rondo/base/unique_fd.hpp"
#include "rondo/io/child_ops.hpp"
#include "rondo/process/stream.hpp"

namespace rondo::process {

using io::TerminalMode;
using io::WindowSize;

struct TerminalOptions {
  WindowSize size = {};
  TerminalMode mode = {};
};

class [[nodiscard("keep it: its end closes the terminal")]] Terminal {
 public:
  /// Errors: the kernel's (no_space: no pseudo-terminal is free); not_supported under sim.
  static Result<Terminal> open(const TerminalOptions& options = {});

  /// Our side: what is written here the child reads, what it writes is read here.
  PipeStream& stream() noexcept { return near_; }
  auto read() noexcept { return near_.read(); }
  auto read_some(ByteSpan into) noexcept { return near_.read_some(into); }
  auto read_line(std::size_t max = limits::line_max.value) noexcept { return near_.read_line(max); }
  auto write_all(ByteView bytes) noexcept { return near_.write_all(bytes); }
  auto write_all(std::string_view text) noexcept { return near_.write_all(text); }
  auto flush() noexcept { return near_.flush(); }
  /// Sends the end-of-file key (Ctrl-D).
  void shutdown_write() noexcept { near_.shutdown_write(); }

  /// Tells the child's foreground group by SIGWINCH when it changes. Errors: the kernel's.
  Result<> set_size(WindowSize size);
  Result<WindowSize> size() const;
  Result<> set_mode(TerminalMode mode);
  Result<TerminalMode> mode() const;

  /// Closes our side: the child is sent SIGHUP.
  void close() noexcept { near_.close(); }

  /// The child's side, for spawn(); -1 when a child has it.
  int take_far() noexcept { return far_.release(); }

 private:
  Terminal(PipeStream&& near, int near_fd, int far) noexcept
      : near_(std::move(near)), near_fd_(near_fd), far_(far) {}

  PipeStream near_;
  int near_fd_;
  UniqueFd far_;
};

}  // namespace rondo::process
