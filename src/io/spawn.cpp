// SPDX-License-Identifier: Apache-2.0
// Spawning by clone(CLONE_VM | CLONE_VFORK): the child borrows this process's memory and the
// parent's thread stands still until exec. No page table is copied, however large the parent is.
//
// Everything that may allocate, lock or look at the environment happens before, in the parent;
// between clone and exec the child makes bare system calls only. They go through syscall(2):
// the sanitizers watch the wrappers of libc and would note the child's calls as the parent's.
// All signals are blocked meanwhile, so that no handler of the parent runs in the child; the
// child resets every disposition before it unblocks them.
#include "io/spawn.hpp"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

extern char** environ;

#if defined(__clang__)
#define RONDO_BARE __attribute__((disable_sanitizer_instrumentation, no_sanitize("undefined")))
#define RONDO_HAS_TSAN __has_feature(thread_sanitizer)
#else
#define RONDO_BARE __attribute__((no_sanitize("address", "thread", "undefined")))
#define RONDO_HAS_TSAN 0
#endif
#if RONDO_HAS_TSAN
// ThreadSanitizer's clone() takes locks as for a fork; here both sides would let go of them.
extern "C" int __clone(int (*)(void*), void*, int, void*, ...);
#define RONDO_CLONE ::__clone
#else
#define RONDO_CLONE ::clone
#endif

namespace rondo::io::kernel {
namespace {

constexpr std::size_t k_kernel_mask = 8;  // bytes of the kernel's sigset_t

struct Descriptor {
  int from;
  int as;
  int moved;  ///< the child's: where it stands until all sources are safe
};

/// What the child works from. Only it writes error, step and `moved`.
struct Recipe {
  const char* path = nullptr;
  char* const* argv = nullptr;
  char* const* envp = nullptr;
  const char* directory = nullptr;
  Descriptor* descriptors = nullptr;  ///< ordered by `as`
  std::size_t descriptor_count = 0;
  const ResourceLimit* limits = nullptr;
  std::size_t limit_count = 0;
  ProcessGroup group = ProcessGroup::own;
  bool controls_terminal = false;
  bool has_uid = false;
  bool has_gid = false;
  unsigned uid = 0;
  unsigned gid = 0;
  int error = 0;
  SpawnStep step = SpawnStep::none;
};

RONDO_BARE int kernel_resource(Resource resource) {
  switch (resource) {
    case Resource::cpu_seconds:
      return RLIMIT_CPU;
    case Resource::file_size:
      return RLIMIT_FSIZE;
    case Resource::data:
      return RLIMIT_DATA;
    case Resource::stack:
      return RLIMIT_STACK;
    case Resource::core:
      return RLIMIT_CORE;
    case Resource::descriptors:
      return RLIMIT_NOFILE;
    case Resource::address_space:
      return RLIMIT_AS;
    case Resource::processes:
      return RLIMIT_NPROC;
    case Resource::locked_memory:
      return RLIMIT_MEMLOCK;
  }
  return -1;
}

// --- In the child, until exec. errno is the parent's; nobody else reads it meanwhile. ---

RONDO_BARE bool reset_signals() {
  // The layout of struct sigaction in the kernel; all zero is the default action.
  struct Action {
    void* handler;
    unsigned long flags;
    void* restorer;
    unsigned long mask;
  };
  Action action;
  action.handler = nullptr;
  action.flags = 0;
  action.restorer = nullptr;
  action.mask = 0;
  for (int signal = 1; signal <= 64; ++signal) {
    if (signal == SIGKILL || signal == SIGSTOP) continue;
    syscall(SYS_rt_sigaction, signal, &action, nullptr, k_kernel_mask);
  }
  return true;
}

RONDO_BARE bool join_group(const Recipe& recipe) {
  if (recipe.group == ProcessGroup::session) return syscall(SYS_setsid) >= 0;
  if (recipe.group == ProcessGroup::own) return syscall(SYS_setpgid, 0, 0) == 0;
  return true;
}

RONDO_BARE bool close_between(unsigned first, unsigned last) {
  if (syscall(SYS_close_range, first, last, 0) == 0) return true;
  if (errno != ENOSYS) return false;
  rlimit64 limit;
  if (syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, nullptr, &limit) != 0) return false;
  for (unsigned fd = first; fd <= last && fd < limit.rlim_cur; ++fd) syscall(SYS_close, fd);
  return true;
}

/// The descriptor to be copied, at a number that no target has.
RONDO_BARE int lift(const Descriptor& descriptor, int above) {
  long from = descriptor.from;
  if (from >= 0) {
    const long moved = syscall(SYS_fcntl, from, F_DUPFD_CLOEXEC, above);
    // A parent without standard input: the child gets an empty one.
    if (moved >= 0 || errno != EBADF || from > 2) return static_cast<int>(moved);
  }
  from = syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC, 0);
  if (from < 0) return -1;
  const long moved = syscall(SYS_fcntl, from, F_DUPFD_CLOEXEC, above);
  syscall(SYS_close, from);
  return static_cast<int>(moved);
}

RONDO_BARE bool place_descriptors(Recipe& recipe) {
  Descriptor* const begin = recipe.descriptors;
  Descriptor* const end = begin + recipe.descriptor_count;
  const int above = recipe.descriptor_count == 0 ? 0 : end[-1].as + 1;
  // First out of the way: a source may have the number that another one is to get.
  for (Descriptor* at = begin; at != end; ++at) {
    at->moved = lift(*at, above);
    if (at->moved < 0) return false;
  }
  int next = 0;
  for (Descriptor* at = begin; at != end; ++at) {
    if (at->as > next &&
        !close_between(static_cast<unsigned>(next), static_cast<unsigned>(at->as - 1)))
      return false;
    if (syscall(SYS_dup3, at->moved, at->as, 0) < 0) return false;
    next = at->as + 1;
  }
  return close_between(static_cast<unsigned>(next), ~0u);
}

RONDO_BARE bool set_limits(const Recipe& recipe) {
  for (std::size_t i = 0; i < recipe.limit_count; ++i) {
    rlimit64 limit;
    limit.rlim_cur = recipe.limits[i].soft;
    limit.rlim_max = recipe.limits[i].hard;
    const int which = kernel_resource(recipe.limits[i].resource);
    if (syscall(SYS_prlimit64, 0, which, &limit, nullptr) != 0) return false;
  }
  return true;
}

/// Who may not drop its groups keeps them only where that changes nothing: when it has none, or is
/// asked to stay what it is. Anything else would start a program with more rights than were meant.
RONDO_BARE bool drop_groups(const Recipe& recipe) {
  if (syscall(SYS_setgroups, 0, nullptr) == 0) return true;
  if (errno != EPERM) return false;
  if (syscall(SYS_getgroups, 0, nullptr) == 0) return true;
  unsigned real;
  unsigned effective;
  unsigned saved;
  if (syscall(SYS_getresgid, &real, &effective, &saved) != 0) return false;
  bool stays = real == recipe.gid && effective == recipe.gid;
  if (recipe.has_uid) {
    if (syscall(SYS_getresuid, &real, &effective, &saved) != 0) return false;
    stays = stays && real == recipe.uid && effective == recipe.uid;
  }
  errno = EPERM;
  return stays;
}

/// Bare calls: those of libc would change every thread of the parent.
RONDO_BARE bool set_identity(const Recipe& recipe) {
  if (recipe.has_gid &&
      syscall(SYS_setresgid, recipe.gid, recipe.gid, recipe.gid) != 0)
    return false;
  return !recipe.has_uid || syscall(SYS_setresuid, recipe.uid, recipe.uid, recipe.uid) == 0;
}

RONDO_BARE int fail(Recipe& recipe, SpawnStep step) {
  recipe.error = errno;
  recipe.step = step;
  syscall(SYS_exit_group, 127);
  return 127;
}

RONDO_BARE int run_child(void* argument) {
  Recipe& recipe = *static_cast<Recipe*>(argument);
  reset_signals();
  if (!join_group(recipe)) return fail(recipe, SpawnStep::group);
  if (!place_descriptors(recipe)) return fail(recipe, SpawnStep::descriptors);
  if (recipe.controls_terminal && syscall(SYS_ioctl, 0, TIOCSCTTY, 0) != 0)
    return fail(recipe, SpawnStep::terminal);
  if (!set_limits(recipe)) return fail(recipe, SpawnStep::limits);
  if (recipe.directory && syscall(SYS_chdir, recipe.directory) != 0)
    return fail(recipe, SpawnStep::directory);
  if (recipe.has_gid && !drop_groups(recipe)) return fail(recipe, SpawnStep::groups);
  if (!set_identity(recipe)) return fail(recipe, SpawnStep::identity);
  const unsigned long none = 0;
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, nullptr, k_kernel_mask);
  syscall(SYS_execve, recipe.path, recipe.argv, recipe.envp);
  return fail(recipe, SpawnStep::exec);
}

/// Clones with all signals blocked, those of libc's own use too. A pidfd, or -1 and errno.
RONDO_BARE int clone_child(Recipe& recipe, std::int32_t& pid) {
  alignas(16) char stack[16 * 1024];  // The child's: the parent stands still.
  const unsigned long all = ~0ul;
  unsigned long before = 0;
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, k_kernel_mask);
  int pidfd = -1;
  pid = RONDO_CLONE(&run_child, stack + sizeof stack,
                    CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &recipe, &pidfd);
  const int error = errno;
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, nullptr, k_kernel_mask);
  errno = error;
  return pid < 0 ? -1 : pidfd;
}

// --- In the parent ---

using Pointers = std::vector<char*>;

bool has_nul(const std::string& text) { return text.find('\0') != std::string::npos; }

std::string_view name_of(std::string_view entry) { return entry.substr(0, entry.find('=')); }

bool is_valid(const ChildPlan& plan) {
  const auto bad = [](const std::vector<std::string>& all) {
    return std::any_of(all.begin(), all.end(), has_nul);
  };
  const auto nameless = [](const std::string& entry) {
    const auto at = entry.find('=');
    return at == 0 || at == std::string::npos;
  };
  return !plan.program.empty() && !has_nul(plan.program) && !has_nul(plan.directory) &&
         !bad(plan.arguments) && !bad(plan.set_environment) &&
         std::none_of(plan.set_environment.begin(), plan.set_environment.end(), nameless);
}

char* writable(const std::string& text) { return const_cast<char*>(text.c_str()); }

Pointers arguments_of(const ChildPlan& plan) {
  Pointers all{writable(plan.program)};
  for (const std::string& argument : plan.arguments) all.push_back(writable(argument));
  all.push_back(nullptr);
  return all;
}

bool is_replaced(const ChildPlan& plan, std::string_view name) {
  const auto sets = [&](const std::string& entry) { return name_of(entry) == name; };
  const auto& removed = plan.remove_environment;
  return std::any_of(plan.set_environment.begin(), plan.set_environment.end(), sets) ||
         std::find(removed.begin(), removed.end(), name) != removed.end();
}

Pointers environment_of(const ChildPlan& plan) {
  Pointers all;
  if (plan.inherit_environment) {
    for (char** at = environ; at && *at; ++at) {
      if (!is_replaced(plan, name_of(*at))) all.push_back(*at);
    }
  }
  for (const std::string& entry : plan.set_environment) all.push_back(writable(entry));
  all.push_back(nullptr);
  return all;
}

std::string_view search_path(const Pointers& environment) {
  for (const char* entry : environment) {
    if (entry && std::strncmp(entry, "PATH=", 5) == 0) return entry + 5;
  }
  return "/usr/local/bin:/usr/bin:/bin";
}

/// 0 when `path`, seen from the child's directory, is a file that may be run; else the errno.
int check_program(const ChildPlan& plan, const std::string& path) {
  const bool elsewhere = !plan.directory.empty() && path.front() != '/';
  const std::string seen = elsewhere ? plan.directory + "/" + path : path;
  struct stat about{};
  if (::stat(seen.c_str(), &about) != 0) return errno;
  if (!S_ISREG(about.st_mode)) return EACCES;
  return ::faccessat(AT_FDCWD, seen.c_str(), X_OK, AT_EACCESS) == 0 ? 0 : errno;
}

/// Where the program is. What was found but may not be run is EACCES, like execvp's.
int find_program(const ChildPlan& plan, const Pointers& environment, std::string& found) {
  found = plan.program;
  if (plan.program.find('/') != std::string::npos) return 0;  // exec itself will say.
  int error = ENOENT;
  for (std::string_view rest = search_path(environment);;) {
    const std::string_view folder = rest.substr(0, rest.find(':'));
    found.assign(folder.empty() ? "." : folder).append("/").append(plan.program);
    const int said = check_program(plan, found);
    if (said == 0) return 0;
    if (said == EACCES) error = EACCES;
    if (folder.size() == rest.size()) return error;
    rest.remove_prefix(folder.size() + 1);
  }
}

std::vector<Descriptor> descriptors_of(const ChildPlan& plan) {
  std::vector<Descriptor> all;
  all.reserve(plan.descriptors.size());
  for (const ChildDescriptor& d : plan.descriptors) all.push_back({d.from, d.as, -1});
  std::sort(all.begin(), all.end(),
            [](const Descriptor& a, const Descriptor& b) { return a.as < b.as; });
  return all;
}

bool has_twice(const std::vector<Descriptor>& all) {
  return std::adjacent_find(all.begin(), all.end(), [](const Descriptor& a, const Descriptor& b) {
           return a.as == b.as;
         }) != all.end();
}

/// A child that never became a program is gone already, or nearly so: no real wait.
void take_away(int pidfd) {
  siginfo_t info;
  while (::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(pidfd), &info, WEXITED) < 0 &&
         errno == EINTR) {
  }
  ::close(pidfd);
}

std::int32_t failed(SpawnOp& op, SpawnStep step, int error) {
  op.failed_at = step;
  return -error;
}

}  // namespace

std::int32_t spawn(SpawnOp& op) {
  const ChildPlan& plan = *op.plan;
  if (!is_valid(plan)) return failed(op, SpawnStep::find, EINVAL);
  Pointers arguments = arguments_of(plan);
  Pointers environment = environment_of(plan);
  std::string path;
  if (const int error = find_program(plan, environment, path))
    return failed(op, SpawnStep::find, error);
  std::vector<Descriptor> descriptors = descriptors_of(plan);
  const bool negative = !descriptors.empty() && descriptors.front().as < 0;
  if (negative || has_twice(descriptors)) return failed(op, SpawnStep::descriptors, EINVAL);
  Recipe recipe{.path = path.c_str(),
                .argv = arguments.data(),
                .envp = environment.data(),
                .directory = plan.directory.empty() ? nullptr : plan.directory.c_str(),
                .descriptors = descriptors.data(),
                .descriptor_count = descriptors.size(),
                .limits = plan.limits.data(),
                .limit_count = plan.limits.size(),
                .group = plan.group,
                .controls_terminal = plan.controls_terminal,
                .has_uid = plan.uid.has_value(),
                .has_gid = plan.gid.has_value(),
                .uid = plan.uid.value_or(0),
                .gid = plan.gid.value_or(0)};
  const int pidfd = clone_child(recipe, op.pid);
  if (pidfd < 0) return failed(op, SpawnStep::clone, errno);
  if (recipe.step == SpawnStep::none) return pidfd;
  take_away(pidfd);
  op.pid = 0;
  return failed(op, recipe.step, recipe.error);
}

}  // namespace rondo::io::kernel
