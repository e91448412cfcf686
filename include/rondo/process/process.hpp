// SPDX-License-Identifier: Apache-2.0
// Process: another program as a child of this one, owned like everything else here.
//
//   auto found = co_await process::capture({.program = "sort", .arguments = {"-u"}},
//                                          {.input = "b\na\nb\n"});
//   auto child = Process::spawn({.program = "cat", .input = Stdio::pipe()}).or_throw();
//   ExitStatus status = co_await child.wait().or_throw();
//
// A child ends with its owner: a Process that is destroyed (its scope was cancelled, say) kills
// its process group at once; the loop waits for it, and no zombie is left. When the child ends by
// itself, what is left of its group is killed too, unless `leftovers` says leave. What made itself
// a new group or session (a daemon) is out of reach of both; kill_tree() finds more.
// The child has default signal dispositions, an empty signal mask, and no descriptor but 0, 1, 2
// and what was asked for. There is no SIGCHLD handler here; a waitpid(-1) elsewhere in the program
// would steal children.
// Thread rule: the loop's thread. spawn() stands still until the child has called exec.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rondo/base/limits.hpp"
#include "rondo/base/result.hpp"
#include "rondo/core/event.hpp"
#include "rondo/core/task.hpp"
#include "rondo/io/child_ops.hpp"
#include "rondo/process/stream.hpp"

namespace rondo::process {

class Terminal;

/// Where one of a child's three streams goes.
struct Stdio {
  enum class Kind : std::uint8_t { inherit, null, pipe, descriptor, merge };
  Kind kind = Kind::inherit;
  int fd = -1;

  static constexpr Stdio inherit() noexcept { return {}; }
  static constexpr Stdio null() noexcept { return {Kind::null, -1}; }
  /// The other end is Process::input(), output() or errors().
  static constexpr Stdio pipe() noexcept { return {Kind::pipe, -1}; }
  /// A descriptor of this process, which keeps its own copy.
  static constexpr Stdio descriptor(int fd) noexcept { return {Kind::descriptor, fd}; }
  /// For `errors` only: where the output goes.
  static constexpr Stdio merge() noexcept { return {Kind::merge, -1}; }
};

struct Environment {
  bool inherit = true;                   ///< start from this process's
  std::vector<std::string> set = {};     ///< "NAME=value", added or replaced
  std::vector<std::string> remove = {};  ///< "NAME"
};

struct ExtraDescriptor {
  int from = -1;  ///< of this process, which keeps its own copy
  int as = 3;     ///< its number in the child, 3 or more
};

using io::ProcessGroup;
using io::Resource;
using io::ResourceLimit;

/// What becomes of the rest of the child's group when the child itself has ended.
enum class Leftovers : std::uint8_t { kill, leave };

struct SpawnOptions {
  /// A path (with a slash; a relative one counts from `directory`), or a name that is looked up
  /// in the PATH of the child's environment.
  std::string program;
  std::vector<std::string> arguments = {};  ///< without the program's own name
  Environment environment = {};
  std::string directory = {};  ///< "": this process's
  Stdio input = Stdio::inherit();
  Stdio output = Stdio::inherit();
  Stdio errors = Stdio::inherit();
  /// Its streams and controlling terminal, instead of the three above (process/pty.hpp).
  Terminal* terminal = nullptr;
  /// A new group by default, which is what is killed. A program that reads the user's terminal
  /// must stay in the foreground group: ProcessGroup::inherit.
  ProcessGroup group = ProcessGroup::own;
  Leftovers leftovers = Leftovers::kill;
  std::vector<ResourceLimit> limits = {};
  std::optional<std::uint32_t> uid = {};
  /// Supplementary groups are dropped; who may not do that (not_permitted) keeps them only when
  /// `uid` and `gid` are what the process has already.
  std::optional<std::uint32_t> gid = {};
  std::vector<ExtraDescriptor> extra_descriptors = {};
};

/// How a process ended.
struct ExitStatus {
  int code = 0;    ///< what it returned; 0 when a signal ended it
  int signal = 0;  ///< that ended it, or 0
  bool core_dumped = false;

  bool success() const noexcept { return code == 0 && signal == 0; }
  /// "exit 3", "signal 9 (Killed)".
  std::string describe() const;
  friend bool operator==(const ExitStatus&, const ExitStatus&) = default;
};

namespace detail {

struct Child;

struct WaitAwaiter : rondo::detail::ListedWaiter {
  Child& child;
  bool kill_on_cancel;
  WaitAwaiter(Child& c, bool kill, rondo::detail::PromiseBase& parent) noexcept
      : child(c), kill_on_cancel(kill) {
    frame = &parent;
  }
  bool await_ready() const noexcept;
  void await_suspend(std::coroutine_handle<>) noexcept;
  Result<ExitStatus> await_resume() const;
};

struct [[nodiscard("co_await it")]] Wait : rondo::detail::OperationAwaitable<Wait> {
  Child& child;
  bool kill_on_cancel;
  Wait(Child& c, bool kill) noexcept : child(c), kill_on_cancel(kill) {}
  WaitAwaiter awaiter(rondo::detail::PromiseBase& parent) && noexcept {
    return {child, kill_on_cancel, parent};
  }
};

}  // namespace detail

class [[nodiscard("keep it: its end ends the child")]] Process {
 public:
  /// Starts a program. Waits for exec (tenths of a millisecond), nothing else.
  /// Errors: exactly what the kernel said and where: "exec ls: ..." no_such_file, access_denied,
  /// 8 (ENOEXEC, no program format); "chdir /x: no such file"; "find" for a name that is not in
  /// PATH; invalid_argument for a NUL byte or a descriptor named twice; not_supported under a
  /// simulation in which no such program is registered.
  static Result<Process> spawn(SpawnOptions options);

  Process(Process&& other) noexcept;
  Process& operator=(Process&& other) noexcept;
  /// Kills the group at once when the child still runs; the loop waits for the end.
  ~Process();

  /// Its process id; another process may have it once has_ended().
  int pid() const noexcept;
  bool has_ended() const noexcept;

  /// This side of Stdio::pipe(): input() writes what the child reads, the others read what it
  /// writes. Move them out to let them live apart from the Process.
  PipeStream& input() noexcept { return input_; }
  PipeStream& output() noexcept { return output_; }
  PipeStream& errors() noexcept { return errors_; }

  /// Waits for the child's end.
  /// - **Completes** when the child has ended and was taken away; at once when it had.
  /// - **Returns** its ExitStatus, again and again. **Errors** the kernel's: 10 (ECHILD) when
  ///   other code of this program took the child away or ignores SIGCHLD.
  /// - **Cancel** only stops waiting: the child runs on. **Lifetime** the Process outlives it.
  /// - **Concurrency** any number. **Thread** the loop's.
  detail::Wait wait() noexcept { return {*child_, false}; }

  /// As wait(), but a cancelled wait kills the group and ends when the child has been taken away:
  /// `with_timeout(5s, child.wait_or_kill())` leaves nothing running.
  detail::Wait wait_or_kill() noexcept { return {*child_, true}; }

  /// Sends a signal to the child's group (with ProcessGroup::inherit: to the child alone).
  /// Errors: 3 (ESRCH) when it has ended; not_permitted when it runs as another user.
  Result<> kill(int signal) noexcept;

  /// kill(signal) for every descendant that /proc still shows, those in other groups and sessions
  /// too. A descendant whose parent has ended already belongs to nobody and is not found.
  Result<> kill_tree(int signal) noexcept;

  /// Asks the child to end, and kills it when it has not ended after `grace`.
  /// - **Completes** when it has ended. **Returns** its ExitStatus. **Errors** those of wait().
  /// - **Cancel** stops waiting; SIGTERM stays sent. **Lifetime** the Process outlives it.
  /// - **Concurrency** any number. **Thread** the loop's.
  Task<Result<ExitStatus>> terminate(
      Duration grace = std::chrono::milliseconds(limits::terminate_grace.value));

  /// Lets the child outlive this Process and the loop. The loop takes it away if it ends before
  /// the loop does.
  void detach() && noexcept;

 private:
  Process(detail::Child& child) noexcept : child_(&child) {}
  void drop() noexcept;

  detail::Child* child_;
  PipeStream input_;
  PipeStream output_;
  PipeStream errors_;
};

struct CaptureOptions {
  /// Written to the child's standard input, which then ends; without it `input` of the
  /// SpawnOptions holds, /dev/null if that says inherit. A child that does not read it all is
  /// no error.
  std::optional<std::string> input = {};
  /// Of each of output and errors; the child is killed when it writes more.
  std::size_t capture_max = limits::capture_max.value;
};

struct Captured {
  ExitStatus status;
  std::string output;
  std::string errors;  ///< empty when `errors` is merge, null or a descriptor
};

/// Runs a program to its end.
/// - **Completes** when it has ended. **Returns** its ExitStatus. **Errors** those of spawn().
/// - **Cancel** (with_timeout too) kills its group and ends when it has been taken away.
/// - **Lifetime** owns the options. **Concurrency** any number. **Thread** the loop's.
Task<Result<ExitStatus>> run_process(SpawnOptions options);

/// Runs a program to its end and keeps what it writes; feeds its input meanwhile.
/// - **Completes** when it has ended and its pipes have; a descendant in another group that keeps
///   them open is waited for. **Returns** Captured. **Errors** those of spawn(); too_large when it
///   wrote more than capture_max (it was killed).
/// - **Cancel** (with_timeout too) kills its group and ends when it has been taken away.
/// - **Lifetime** owns both options. **Concurrency** any number. **Thread** the loop's.
Task<Result<Captured>> capture(SpawnOptions options, CaptureOptions capture = {});

/// Options that give `command` to /bin/sh. Never put text from outside into it: pass that as an
/// argument ($1, $2, ...) instead.
SpawnOptions shell(std::string command, std::vector<std::string> arguments = {});

}  // namespace rondo::process
