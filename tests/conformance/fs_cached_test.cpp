// SPDX-License-Identifier: Apache-2.0
// What is in the kernel's caches is read at once, on the loop's thread; nothing else is.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/openat2.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "every_driver.hpp"
#include "rondo/base/unique_fd.hpp"
#include "rondo/core/offload.hpp"
#include "rondo/fs/dir.hpp"
#include "rondo/fs/directory.hpp"
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

TEST_P(CachedFiles, reads_at_an_offset_end_where_the_file_ends) {
  in_directory([](std::string at) -> Task<> {
    const std::string text(100'000, 'x');
    co_await fs::write_file(at + "a", text + "end").or_throw();
    auto file = co_await fs::File::open(at + "a").or_throw();
    std::vector<std::byte> memory(65'536);
    EXPECT_EQ((co_await file.read_at(memory, 0)).or_throw(), 65'536u);
    EXPECT_EQ((co_await file.read_at(memory, 65'536)).or_throw(), 100'003u - 65'536);
    EXPECT_EQ((co_await file.read_at(std::span(memory).first(8), 100'000)).or_throw(), 3u);
    EXPECT_EQ(as_text(ByteView(memory).first(3)), "end");
    EXPECT_EQ((co_await file.read_at(memory, 100'003)).or_throw(), 0u);
    EXPECT_EQ((co_await file.read_at(memory, 200'000)).or_throw(), 0u);
  });
}

TEST_P(CachedFiles, what_is_opened_with_its_status_is_what_open_and_status_say) {
  in_directory([](std::string at) -> Task<> {
    co_await fs::write_file(at + "a", "four").or_throw();
    co_await fs::write_file(at + "empty", "").or_throw();
    (co_await fs::make_directory(at + "folder")).or_throw();
    const auto root = co_await fs::Directory::open(at).or_throw();
    for (const std::string name : {"a", "empty", "folder"}) {
      const auto found = co_await root.open_with_status(name).or_throw();
      const auto apart = co_await fs::status(at + name).or_throw();
      EXPECT_EQ(found.about.type, apart.type) << name;
      EXPECT_EQ(found.about.size, apart.size) << name;
      EXPECT_EQ(found.about.inode, apart.inode) << name;
      EXPECT_EQ(found.about.modified_ns, apart.modified_ns) << name;
    }
    auto file = co_await root.open_with_status("a").or_throw();
    EXPECT_EQ(co_await file.file.read_to_end().or_throw(), "four");
    if (file.file.fd() >= 0 && Loop::current().driver().reads_caches()) {
      EXPECT_EQ(::fcntl(file.file.fd(), F_GETFL) & O_NONBLOCK, 0)
          << "a ring would not wait for the disk";
      EXPECT_NE(::fcntl(file.file.fd(), F_GETFD) & FD_CLOEXEC, 0);
    }
    EXPECT_EQ((co_await root.open_with_status("none")).error(), Errc::no_such_file);
    EXPECT_EQ((co_await root.open_with_status("../a")).error(), Errc::access_denied);
    EXPECT_EQ((co_await root.open_with_status("")).error(), Errc::invalid_argument);
  });
}

TEST_P(CachedFiles, a_link_that_leads_out_is_refused_also_when_all_names_are_cached) {
  if (is_sim()) return;  // There only the text of a name is judged.
  in_directory([](std::string at) -> Task<> {
    co_await fs::write_file(at + "secret", "s").or_throw();
    (co_await fs::make_directory(at + "root")).or_throw();
    (co_await fs::symbolic_link("../secret", at + "root/link")).or_throw();
    const auto root = co_await fs::Directory::open(at + "root").or_throw();
    for (int i = 0; i < 2; ++i) {  // The first one brings the names into the cache.
      EXPECT_EQ((co_await root.open_with_status("link")).error(), Errc::access_denied);
    }
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
      for (int i = 0; i < 2'000; ++i) (co_await fs::read_file(at + "a")).or_throw();
      EXPECT_GE(turns, 10);
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

TEST_F(ReadCachedFile, a_socket_without_room_says_so_and_a_gap_in_the_caches_is_the_drivers) {
  const std::string path = at_ + "/sent";
  put_file(path, std::string(300'000, 'w'));
  const UniqueFd file(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  const UniqueFd near(pair[0]);
  UniqueFd far(pair[1]);
  EXPECT_EQ(io::send_cached(near.get(), file.get(), 0, 400'000), 0) << "more than there is";
  std::int64_t sent = 0;
  std::int64_t last = 0;
  for (int i = 0; i < 10'000; ++i) {
    last = io::send_cached(near.get(), file.get(), 0, 300'000);
    if (last <= 0) break;
    sent += last;
  }
  if (kernel_reads_at_once(path) && last != 0) {
    EXPECT_EQ(last, -EAGAIN);
    EXPECT_GT(sent, 0);
  }
  EXPECT_EQ(::fcntl(near.get(), F_GETFL) & O_NONBLOCK, 0) << "as it was before";
  far.reset();
  if (last != 0) EXPECT_EQ(io::send_cached(near.get(), file.get(), 0, 1'000), -EPIPE);
  ::ftruncate(file.get(), 0);
  EXPECT_EQ(io::send_cached(near.get(), file.get(), 0, 1'000), 0);
}

}  // namespace
}  // namespace rondo::testing
