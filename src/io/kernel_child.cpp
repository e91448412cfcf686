// SPDX-License-Identifier: Apache-2.0
#include "io/kernel_child.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "io/spawn.hpp"
#include "rondo/base/unique_fd.hpp"

namespace rondo::io::kernel {
namespace {

std::int32_t checked(long result) noexcept {
  return result < 0 ? -errno : static_cast<std::int32_t>(result);
}

// --- Spawning ---

std::int32_t run_spawn(SpawnOp& op) noexcept {
  std::int32_t result = 0;
  try {
    result = spawn(op);
  } catch (const std::bad_alloc&) {
    result = -ENOMEM;
  }
  const auto& all = op.plan->descriptors;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (!all[i].give || all[i].from < 0) continue;
    // One descriptor may be given under several numbers: it is closed with the last.
    const auto same = [&](const ChildDescriptor& d) { return d.give && d.from == all[i].from; };
    if (std::none_of(all.begin() + static_cast<std::ptrdiff_t>(i) + 1, all.end(), same))
      ::close(all[i].from);
  }
  return result;
}

// --- Killing ---

constexpr std::size_t k_tree_max = 65'536;

/// Appends the children that /proc lists for `pid`.
void list_children(int pid, std::vector<int>& found) {
  const std::string folder = "/proc/" + std::to_string(pid) + "/task";
  const std::unique_ptr<DIR, int (*)(DIR*)> threads(::opendir(folder.c_str()), &::closedir);
  if (!threads) return;
  while (const dirent* thread = ::readdir(threads.get())) {
    if (thread->d_name[0] == '.') continue;
    const std::string path = folder + "/" + thread->d_name + "/children";
    const std::unique_ptr<FILE, int (*)(FILE*)> list(std::fopen(path.c_str(), "re"), &std::fclose);
    int child = 0;
    while (list && std::fscanf(list.get(), "%d", &child) == 1) found.push_back(child);
  }
}

/// All descendants of `root`, it first, stopped. From the root downward: a stopped parent reaps
/// nobody, so the numbers of its children stay theirs while they are looked at.
std::vector<int> stop_tree(int root) {
  std::vector<int> tree{root};
  ::kill(root, SIGSTOP);
  for (std::size_t at = 0; at < tree.size() && tree.size() < k_tree_max; ++at) {
    const std::size_t before = tree.size();
    list_children(tree[at], tree);
    for (std::size_t i = before; i < tree.size(); ++i) ::kill(tree[i], SIGSTOP);
  }
  return tree;
}

std::int32_t kill_tree(const KillChildOp& op) noexcept {
  try {
    const std::vector<int> tree = stop_tree(op.pid);
    // From the leaves upward: a parent that dies first would give its children away.
    for (std::size_t i = tree.size(); i-- > 1;) {
      ::kill(tree[i], op.signal);
      ::kill(tree[i], SIGCONT);
    }
  } catch (const std::bad_alloc&) {
    // What was not found lives on; the root is signalled all the same.
  }
  const std::int32_t result = checked(syscall(SYS_pidfd_send_signal, op.fd, op.signal, nullptr, 0));
  ::kill(op.pid, SIGCONT);
  return result;
}

std::int32_t kill_child(const KillChildOp& op) noexcept {
  if (op.tree) {
    const std::int32_t result = kill_tree(op);
    if (op.group == 0) return result;
  }
  if (op.group > 0) return checked(::kill(-op.group, op.signal));
  return checked(syscall(SYS_pidfd_send_signal, op.fd, op.signal, nullptr, 0));
}

// --- Pipes and terminals ---

/// For this thread only: what the program's other threads think of them is their affair.
std::int32_t block_signals(std::uint64_t mask) noexcept {
  sigset_t set;
  ::sigemptyset(&set);
  for (int signal = 1; signal <= 64; ++signal) {
    if (mask >> (signal - 1) & 1) ::sigaddset(&set, signal);
  }
  return -::pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

std::int32_t make_pipe(MakePipeOp& op) noexcept {
  block_signals(std::uint64_t{1} << (SIGPIPE - 1));
  return checked(::pipe2(op.fds, O_CLOEXEC));
}

std::int32_t set_mode(int fd, const TerminalMode& mode) noexcept {
  termios settings{};
  if (::tcgetattr(fd, &settings) != 0) return -errno;
  if (mode.raw) {
    ::cfmakeraw(&settings);
  } else {
    settings.c_iflag |= ICRNL | IXON | BRKINT;
    settings.c_oflag |= OPOST | ONLCR;
    settings.c_lflag |= ICANON | ISIG | IEXTEN;
  }
  if (mode.echo)
    settings.c_lflag |= ECHO | (mode.raw ? 0U : ECHOE | ECHOK);
  else
    settings.c_lflag &= ~static_cast<tcflag_t>(ECHO | ECHOE | ECHOK | ECHONL);
  return checked(::tcsetattr(fd, TCSANOW, &settings));
}

std::int32_t get_mode(TerminalOp& op) noexcept {
  termios settings{};
  if (::tcgetattr(op.near, &settings) != 0) return -errno;
  op.mode.echo = (settings.c_lflag & ECHO) != 0;
  op.mode.raw = (settings.c_lflag & ICANON) == 0;
  return 0;
}

std::int32_t set_size(int fd, const WindowSize& size) noexcept {
  const winsize wanted{.ws_row = size.rows, .ws_col = size.columns, .ws_xpixel = 0, .ws_ypixel = 0};
  return checked(::ioctl(fd, TIOCSWINSZ, &wanted));
}

std::int32_t get_size(TerminalOp& op) noexcept {
  winsize found{};
  if (::ioctl(op.near, TIOCGWINSZ, &found) != 0) return -errno;
  op.size = {.rows = found.ws_row, .columns = found.ws_col};
  return 0;
}

std::int32_t open_terminal(TerminalOp& op) noexcept {
  UniqueFd near(::open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!near) return -errno;
  const int locked = 0;
  if (::ioctl(near.get(), TIOCSPTLCK, &locked) != 0) return -errno;
  // Of this very master, whatever stands at /dev/pts in this mount namespace.
  UniqueFd far(::ioctl(near.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!far) return -errno;
  if (const std::int32_t error = set_size(near.get(), op.size)) return error;
  if (const std::int32_t error = set_mode(near.get(), op.mode)) return error;
  op.near = near.release();
  op.far = far.release();
  return 0;
}

std::int32_t terminal(TerminalOp& op) noexcept {
  switch (op.what) {
    case TerminalOp::What::open:
      return open_terminal(op);
    case TerminalOp::What::get_size:
      return get_size(op);
    case TerminalOp::What::set_size:
      return set_size(op.near, op.size);
    case TerminalOp::What::get_mode:
      return get_mode(op);
    case TerminalOp::What::set_mode:
      return set_mode(op.near, op.mode);
  }
  return -EINVAL;
}

std::int32_t wait_for(int pidfd, int options, siginfo_t& info) noexcept {
  info = {};
  while (::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(pidfd), &info, options) < 0) {
    if (errno != EINTR) return -errno;
  }
  return info.si_pid == 0 ? -EAGAIN : 0;
}

}  // namespace

std::int32_t run_child_op(Operation& op) noexcept {
  switch (op.kind) {
    case OpKind::spawn:
      return run_spawn(static_cast<SpawnOp&>(op));
    case OpKind::kill_child:
      return kill_child(static_cast<KillChildOp&>(op));
    case OpKind::make_pipe:
      return make_pipe(static_cast<MakePipeOp&>(op));
    case OpKind::block_signals:
      return block_signals(static_cast<BlockSignalsOp&>(op).mask);
    case OpKind::terminal:
      return terminal(static_cast<TerminalOp&>(op));
    default:
      return -ENOTSUP;
  }
}

void drop_sigpipe() noexcept {
  sigset_t pipe;
  ::sigemptyset(&pipe);
  ::sigaddset(&pipe, SIGPIPE);
  const timespec no_wait{};
  ::sigtimedwait(&pipe, nullptr, &no_wait);
}

std::int32_t try_reap(WaitChildOp& op) noexcept {
  siginfo_t info;
  if (op.group > 0) {
    // Looked at first, taken away last: as long as the leader is a zombie, the group's number
    // is not given to anybody else.
    if (const auto error = wait_for(op.fd, WEXITED | WNOHANG | WNOWAIT, info)) return error;
    ::kill(-op.group, SIGKILL);
  }
  if (const auto error = wait_for(op.fd, WEXITED | WNOHANG, info)) return error;
  op.end = {};
  if (info.si_code == CLD_EXITED)
    op.end.code = info.si_status;
  else
    op.end.signal = info.si_status;
  op.end.core_dumped = info.si_code == CLD_DUMPED;
  return 0;
}

}  // namespace rondo::io::kernel
