// SPDX-License-Identifier: Apache-2.0
// Operations on child processes, pipes and terminals. The rules are those of io/operation.hpp.
//
// All but WaitChildOp are immediate. Spawning waits until the child has called exec (a vfork):
// tenths of a millisecond, more when the program's file is on a slow disk.
// Descriptors marked `give` are the driver's from submit() on: closed here once the child has
// them, also when there is no child. Strings and arrays outlive submit().
// Under sim a child is a registered stand-in (testing/sim_process.hpp) and a terminal is -ENOTSUP.
// Thread rule: the loop's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "rondo/io/operation.hpp"

namespace rondo::io {

/// A descriptor of the child: `from` of this process (-1: /dev/null) becomes `as` there.
struct ChildDescriptor {
  int from = -1;
  int as = 0;
  bool give = false;  ///< this process's copy is closed by the driver
};

/// A bound that the kernel puts on a process; see setrlimit(2).
enum class Resource : std::uint8_t {
  cpu_seconds, file_size, data, stack, core, descriptors, address_space, processes, locked_memory,
};
inline constexpr std::uint64_t k_unlimited = ~std::uint64_t{0};
struct ResourceLimit {
  Resource resource = Resource::descriptors;
  std::uint64_t soft = k_unlimited;
  std::uint64_t hard = k_unlimited;
};

/// Which process group a child is in.
enum class ProcessGroup : std::uint8_t {
  own,      ///< a new one, whose leader it is
  session,  ///< a new session too: it has no terminal, or the one it is given
  inherit,  ///< the parent's: it shares the terminal's signals, and its own children are its own
};

/// What spawning was at when it failed.
enum class SpawnStep : std::uint8_t {
  none, find, clone, group, descriptors, terminal, limits, directory, groups, identity, exec,
};
const char* spawn_step_name(SpawnStep step) noexcept;

/// What a child is to be. Plain values.
struct ChildPlan {
  std::string program;                 ///< a path, or a name that PATH is searched for
  std::vector<std::string> arguments;  ///< without the program's own name
  bool inherit_environment = true;
  std::vector<std::string> set_environment;     ///< "NAME=value"
  std::vector<std::string> remove_environment;  ///< "NAME"
  std::string directory;               ///< "": this process's
  std::vector<ChildDescriptor> descriptors;  ///< its whole table, no `as` twice
  std::vector<ResourceLimit> limits;
  ProcessGroup group = ProcessGroup::own;
  bool controls_terminal = false;      ///< its descriptor 0 becomes the session's terminal
  std::optional<std::uint32_t> uid;
  std::optional<std::uint32_t> gid;    ///< drops the supplementary groups, too
};

/// Immediate. Starts a child with default signal dispositions, an empty signal mask and no
/// descriptor but those of the plan. Completes with a close-on-exec descriptor of the process
/// (pidfd), the owner's; what exec or an earlier step said is the result, `failed_at` the step.
struct SpawnOp : Operation {
  SpawnOp() noexcept : Operation(OpKind::spawn) {}
  const ChildPlan* plan = nullptr;
  std::int32_t pid = 0;
  SpawnStep failed_at = SpawnStep::none;
};

/// How a process ended.
struct ChildEnd {
  std::int32_t code = 0;    ///< of exit()
  std::int32_t signal = 0;  ///< that ended it, or 0
  bool core_dumped = false;
};

/// One-shot. Waits for the end of a child of this process, then takes it away (no zombie is
/// left). Completes with 0. With `group` set, what is left of that process group is killed
/// first: until then its number cannot have been given to anybody else. The owner may clear
/// `group` while the operation is in flight.
struct WaitChildOp : Operation {
  WaitChildOp() noexcept : Operation(OpKind::wait_child) {}
  int fd = -1;             ///< the pidfd
  std::int32_t group = 0;
  ChildEnd end;
};

/// Immediate. Sends a signal to a child, to its group when `group` is set, or, with `tree`, to
/// every descendant that can still be found. The child has not been waited for. Completes with 0.
struct KillChildOp : Operation {
  KillChildOp() noexcept : Operation(OpKind::kill_child) {}
  int fd = -1;
  std::int32_t pid = 0;
  std::int32_t group = 0;
  std::int32_t signal = 0;
  bool tree = false;
};

/// Immediate. Makes a pipe: fds[0] reads what fds[1] writes, both close-on-exec. From the first
/// one on SIGPIPE is blocked for the thread: a write that nobody will read is -EPIPE, no signal.
struct MakePipeOp : Operation {
  MakePipeOp() noexcept : Operation(OpKind::make_pipe) {}
  int fds[2] = {-1, -1};
};

/// Immediate. Blocks the signals in `mask` (bit n-1 for signal n) for this thread, as SignalOp
/// does when it is started: what comes from now on waits for one. Completes with 0.
struct BlockSignalsOp : Operation {
  BlockSignalsOp() noexcept : Operation(OpKind::block_signals) {}
  std::uint64_t mask = 0;
};

/// Rows and columns of characters.
struct WindowSize {
  std::uint16_t rows = 24;
  std::uint16_t columns = 80;
};
struct TerminalMode {
  bool echo = true;
  bool raw = false;  ///< bytes as they are: no lines, no signals from keys, no translation
};

/// Immediate. Makes a pseudo-terminal, or asks and changes one. `open` fills near and far.
struct TerminalOp : Operation {
  enum class What : std::uint8_t { open, get_size, set_size, get_mode, set_mode };
  TerminalOp() noexcept : Operation(OpKind::terminal) {}
  What what = What::open;
  int near = -1;  ///< the master
  int far = -1;   ///< the terminal itself
  WindowSize size;
  TerminalMode mode;
};

}  // namespace rondo::io
