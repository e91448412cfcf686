// SPDX-License-Identifier: Apache-2.0
// Process: from options to a plan for the driver, and the brackets around a child.
#include "rondo/process/process.hpp"

#include <cerrno>
#include <csignal>
#include <utility>

#include "process/child.hpp"
#include "rondo/core/cancel.hpp"
#include "rondo/core/when.hpp"
#include "rondo/process/pty.hpp"

namespace rondo::process {

namespace {

using detail::Immediate;
using detail::ProcessService;

/// This process's ends of the pipes that a child is given the others of.
struct Ends {
  int fds[3] = {-1, -1, -1};
  Ends() = default;
  Ends(const Ends&) = delete;
  Ends& operator=(const Ends&) = delete;
  ~Ends() {
    for (const int fd : fds) {
      if (fd >= 0) ProcessService::current().close_descriptor(fd);
    }
  }
  PipeStream reader(int which) {
    const int fd = std::exchange(fds[which], -1);
    return fd < 0 ? PipeStream() : PipeStream::adopt(fd, -1);
  }
  PipeStream writer(int which) {
    const int fd = std::exchange(fds[which], -1);
    return fd < 0 ? PipeStream() : PipeStream::adopt(-1, fd);
  }
};

/// What spawn() collects before it asks the driver.
struct Draft {
  io::ChildPlan plan;
  Ends ends;
  bool handed_over = false;  ///< the driver closes what is given

  ~Draft() {
    if (handed_over) return;
    int before = -1;  // One that is given under several numbers stands in a row.
    for (const io::ChildDescriptor& d : plan.descriptors) {
      if (d.give && d.from != before) ProcessService::current().close_descriptor(d.from);
      before = d.from;
    }
  }
};

Result<> add_pipe(Draft& draft, int which) {
  Immediate<io::MakePipeOp> op;
  if (op.ask() < 0) return Error::from_errno(-op.result, "pipe");
  const int child_end = which == 0 ? 0 : 1;
  draft.ends.fds[which] = op.fds[1 - child_end];
  draft.plan.descriptors.push_back({.from = op.fds[child_end], .as = which, .give = true});
  return {};
}

Result<> add_stream(Draft& draft, int which, const Stdio& stdio) {
  auto& all = draft.plan.descriptors;
  switch (stdio.kind) {
    case Stdio::Kind::inherit:
      all.push_back({.from = which, .as = which, .give = false});
      return {};
    case Stdio::Kind::null:
      all.push_back({.from = -1, .as = which, .give = false});
      return {};
    case Stdio::Kind::descriptor:
      if (stdio.fd < 0) return Error(Errc::bad_descriptor, "spawn");
      all.push_back({.from = stdio.fd, .as = which, .give = false});
      return {};
    case Stdio::Kind::pipe:
      return add_pipe(draft, which);
    case Stdio::Kind::merge: {
      if (which != 2) return Error(Errc::invalid_argument, "spawn");
      const io::ChildDescriptor output = all[1];
      all.push_back({.from = output.from, .as = 2, .give = output.give});
      return {};
    }
  }
  return Error(Errc::invalid_argument, "spawn");
}

Result<> add_streams(Draft& draft, SpawnOptions& options) {
  if (options.terminal) {
    const int far = options.terminal->take_far();
    if (far < 0) return Error(Errc::closed, "spawn");  // It has a child already.
    for (const int as : {0, 1, 2}) {
      draft.plan.descriptors.push_back({.from = far, .as = as, .give = true});
    }
    draft.plan.controls_terminal = true;
    draft.plan.group = ProcessGroup::session;
  } else {
    const Stdio* three[] = {&options.input, &options.output, &options.errors};
    for (const int which : {0, 1, 2}) {
      if (auto added = add_stream(draft, which, *three[which]); !added) return added;
    }
  }
  for (const ExtraDescriptor& extra : options.extra_descriptors) {
    if (extra.from < 0 || extra.as < 3) return Error(Errc::bad_descriptor, "spawn");
    draft.plan.descriptors.push_back({.from = extra.from, .as = extra.as, .give = false});
  }
  return {};
}

void fill_plan(io::ChildPlan& plan, SpawnOptions& options) {
  plan.program = std::move(options.program);
  plan.arguments = std::move(options.arguments);
  plan.inherit_environment = options.environment.inherit;
  plan.set_environment = std::move(options.environment.set);
  plan.remove_environment = std::move(options.environment.remove);
  plan.directory = std::move(options.directory);
  plan.limits = std::move(options.limits);
  plan.group = options.group;
  plan.uid = options.uid;
  plan.gid = options.gid;
}

Error spawn_error(const Immediate<io::SpawnOp>& op) {
  const bool directory = op.failed_at == io::SpawnStep::directory;
  if (op.result == -ENOTSUP) return Error(Errc::not_supported, "spawn", op.plan->program);
  return Error::from_errno(-op.result, io::spawn_step_name(op.failed_at),
                           directory ? op.plan->directory : op.plan->program);
}

/// Kills what still runs when its task ends by an error.
struct Reading {
  std::string text;
  bool too_large = false;
};

Task<> read_up_to(PipeStream& from, std::size_t max, Reading& into, Process& child) {
  if (!from.is_open()) co_return;
  for (;;) {
    const auto got = co_await from.read();
    if (!got || got->empty()) co_return;
    if (!into.too_large && into.text.size() + got->size() > max) {
      into.too_large = true;
      static_cast<void>(child.kill(SIGKILL));
      // A descendant elsewhere may hold the pipe open for ever: enough was read.
      co_return;
    }
    into.text.append(got->text());
  }
}

Task<> feed(PipeStream& to, const std::optional<std::string>& input) {
  if (!to.is_open()) co_return;
  // A child that has read enough and closed its input is no failure of ours.
  if (input) static_cast<void>(co_await to.write_all(*input));
  to.shutdown_write();
}

}  // namespace

Result<Process> Process::spawn(SpawnOptions options) {
  Draft draft;
  const bool leaves = options.leftovers == Leftovers::leave;
  fill_plan(draft.plan, options);
  if (auto added = add_streams(draft, options); !added) return added.error();
  const bool has_group = draft.plan.group != ProcessGroup::inherit;
  Immediate<io::SpawnOp> op;
  op.plan = &draft.plan;
  draft.handed_over = true;
  if (op.ask() < 0) return spawn_error(op);
  Process made(*new detail::Child(ProcessService::current(), op.result, op.pid, has_group, leaves));
  made.input_ = draft.ends.writer(0);
  made.output_ = draft.ends.reader(1);
  made.errors_ = draft.ends.reader(2);
  return made;
}

Process::Process(Process&& other) noexcept
    : child_(std::exchange(other.child_, nullptr)),
      input_(std::move(other.input_)),
      output_(std::move(other.output_)),
      errors_(std::move(other.errors_)) {}

Process& Process::operator=(Process&& other) noexcept {
  if (this == &other) return *this;
  drop();
  child_ = std::exchange(other.child_, nullptr);
  input_ = std::move(other.input_);
  output_ = std::move(other.output_);
  errors_ = std::move(other.errors_);
  return *this;
}

Process::~Process() { drop(); }

void Process::drop() noexcept {
  if (detail::Child* own = std::exchange(child_, nullptr)) own->release();
}

int Process::pid() const noexcept { return child_->pid; }
bool Process::has_ended() const noexcept { return child_->state != detail::Child::State::running; }

Result<> Process::kill(int signal) noexcept {
  const std::int32_t result = child_->kill(signal, false);
  if (result < 0) return Error::from_errno(-result, "kill");
  return {};
}

Result<> Process::kill_tree(int signal) noexcept {
  const std::int32_t result = child_->kill(signal, true);
  if (result < 0) return Error::from_errno(-result, "kill");
  return {};
}

Task<Result<ExitStatus>> Process::terminate(Duration grace) {
  if (!has_ended()) {
    static_cast<void>(kill(SIGTERM));
    static_cast<void>(kill(SIGCONT));  // One that is stopped would not see it.
  }
  auto ended = co_await with_timeout(grace, wait());
  if (ended || ended.error() != Errc::timed_out) co_return ended;
  static_cast<void>(kill(SIGKILL));
  co_return co_await wait();
}

void Process::detach() && noexcept {
  if (detail::Child* own = std::exchange(child_, nullptr)) own->detach();
}

Task<Result<ExitStatus>> run_process(SpawnOptions options) {
  auto child = Process::spawn(std::move(options));
  if (!child) co_return child.error();
  co_return co_await child->wait_or_kill();
}

Task<Result<Captured>> capture(SpawnOptions options, CaptureOptions capture) {
  const std::string name = options.program;
  if (capture.input)
    options.input = Stdio::pipe();
  else if (options.input.kind == Stdio::Kind::inherit)
    options.input = Stdio::null();
  options.output = Stdio::pipe();
  if (options.errors.kind == Stdio::Kind::inherit) options.errors = Stdio::pipe();
  auto child = Process::spawn(std::move(options));
  if (!child) co_return child.error();
  Reading output;
  Reading errors;
  auto all = co_await when_all(child->wait_or_kill(), feed(child->input(), capture.input),
                               read_up_to(child->output(), capture.capture_max, output, *child),
                               read_up_to(child->errors(), capture.capture_max, errors, *child));
  if (output.too_large || errors.too_large) co_return Error(Errc::too_large, "capture", name);
  const auto& status = std::get<0>(all);
  if (!status) co_return status.error();
  co_return Captured{*status, std::move(output.text), std::move(errors.text)};
}

SpawnOptions shell(std::string command, std::vector<std::string> arguments) {
  std::vector<std::string> all{"-c", std::move(command), "sh"};
  for (std::string& argument : arguments) all.push_back(std::move(argument));
  return {.program = "/bin/sh", .arguments = std::move(all)};
}

}  // namespace rondo::process
