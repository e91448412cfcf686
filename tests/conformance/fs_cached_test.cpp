// SPDX-License-Identifier: Apache-2.0
// What is in the kernel's caches is read at once, on the loop's thread; nothing else is.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include "every_driver.hpp"
#include "rondo/base/unique_fd.hpp"
#include "rondo/core/offload.hpp"
#include "rondo/fs/dir.hpp"
#include "rondo/fs/file.hpp"
#include "rondo/io/file_ops.hpp"

namespace rondo::testing {
namespace {

/// What the kernel and the file system under `path` can, asked by the bare calls.
bool kernel_reads_at_once(const std::string& path) {
  open_how how{};
  how.flags = O_RDONLY | O_CLOEXEC;
  how.resolve = RESOLVE_CACHED;
  const UniqueFd fd(
      static_cast<int>(::syscall(SYS_openat2, AT_FDCWD, path.c_str(), &how, sizeof how)));
  char byte;
  const iovec part{&byte, 1};
  return fd && ::preadv2(fd.get(), &part, 1, 0, RWF_NOWAIT) == 1;
}

class CachedFiles : public EveryDriver {
 protected:
  template <class F>
  void in_directory(F body) {
    run([&]() -> Task<> {
      co_await fs::with_temporary_directory([&](std::string path) { return body(path + "/"); });
    });
  }
};

/// Everything so far that went to the driver or to a thread.
std::uint64_t operations() {
  return Loop::current().driver().statistics().submissions + blocking_statistics().finished;
}

void put_file(const std::string& path, std::string_view text) { std::ofstream(path) << text; }

TEST_P(CachedFiles, one_just_written_is_read_without_the_driver) {
  if (is_sim()) return;  // Its disk is its own: the next test.
  in_directory([](std::string at) -> Task<> {
    put_file(at + "a", std::string(4'096, 'x'));
    const bool at_once = kernel_reads_at_once(at + "a");
    const std::uint64_t before = operations();
    EXPECT_EQ(co_await fs::read_file(at + "a").or_throw(), std::string(4'096, 'x'));
    EXPECT_EQ(operations() == before, at_once);
  });
}

TEST_P(CachedFiles, a_simulation_never_reads_the_machines_own) {
  if (!is_sim()) return;
  run([]() -> Task<> {
    EXPECT_FALSE(Loop::current().driver().reads_caches());
    EXPECT_EQ((co_await fs::read_file("/proc/self/exe")).error(), Errc::no_such_file);
    EXPECT_EQ((co_await fs::read_file("/etc/passwd")).error(), Errc::no_such_file);
  });
}

TEST_P(CachedFiles, a_task_that_reads_nothing_else_lets_others_run) {
  in_directory([](std::string at) -> Task<> {
    co_await fs::write_file(at + "a", "x").or_throw();
    co_await with_scope([&](Scope& scope) -> Task<> {
      int turns = 0;
      auto other = scope.start(
          [](int& count) -> Task<> {
            while (true) {
              ++count;
              co_await checkpoint();
            }
          },
          std::ref(turns));
      for (int i = 0; i < 50; ++i) (co_await fs::read_file(at + "a")).or_throw();
      EXPECT_GE(turns, 25);
      other.cancel();
    });
  });
}

TEST_P(CachedFiles, a_cancelled_task_reads_nothing) {
  in_directory([](std::string at) -> Task<> {
    co_await fs::write_file(at + "a", "x").or_throw();
    bool went_on = false;
    co_await with_scope([&](Scope& scope) -> Task<> {
      auto reader = scope.start(
          [](std::string path, bool& past) -> Task<> {
            (void)co_await fs::read_file(path);
            past = true;
          },
          at + "a", std::ref(went_on));
      reader.cancel();
      co_return;
    });
    EXPECT_FALSE(went_on);
  });
}

ON_EVERY_DRIVER(CachedFiles);

/// read_cached_file() itself, in a directory of its own.
class ReadCachedFile : public ::testing::Test {
 protected:
  ReadCachedFile() {
    char name[] = "/tmp/rondo-cached-XXXXXX";
    at_ = ::mkdtemp(name);
  }
  ~ReadCachedFile() override { std::filesystem::remove_all(at_); }
  std::string at_;
};

TEST_F(ReadCachedFile, yields_a_files_bytes_up_to_the_limit) {
  for (const std::size_t size : {1u, 100u, 4'095u, 4'096u, 4'097u, 16'384u}) {
    const std::string path = at_ + "/" + std::to_string(size);
    put_file(path, std::string(size, 'y'));
    if (!kernel_reads_at_once(path)) {
      EXPECT_EQ(io::read_cached_file(path.c_str(), size), std::nullopt);
      continue;
    }
    EXPECT_EQ(io::read_cached_file(path.c_str(), size), std::string(size, 'y')) << size;
    EXPECT_EQ(io::read_cached_file(path.c_str(), size - 1), std::nullopt) << size;
  }
}

TEST_F(ReadCachedFile, leaves_everything_else_to_the_driver) {
  const auto nothing = [](const std::string& path) {
    return !io::read_cached_file(path.c_str(), 1'000'000).has_value();
  };
  put_file(at_ + "/empty", "");
  put_file(at_ + "/large", std::string(16'385, 'z'));
  ASSERT_EQ(::mkfifo((at_ + "/pipe").c_str(), 0600), 0);
  EXPECT_TRUE(nothing(at_ + "/empty"));
  EXPECT_TRUE(nothing(at_ + "/large"));
  EXPECT_TRUE(nothing(at_ + "/missing"));
  EXPECT_TRUE(nothing(at_)) << "a directory";
  EXPECT_TRUE(nothing(at_ + "/pipe")) << "and it did not wait for a writer";
  EXPECT_TRUE(nothing("/proc/self/status")) << "comes in pieces";
  EXPECT_TRUE(nothing("/dev/zero"));
  EXPECT_TRUE(nothing("/sys/kernel/mm/transparent_hugepage/enabled"))
      << "says it has 4,096 bytes and has fewer";
}

}  // namespace
}  // namespace rondo::testing
