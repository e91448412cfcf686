// SPDX-License-Identifier: Apache-2.0
// What the kernel refuses reaches the caller as what it is, with the path: on its drivers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>

#include "every_driver.hpp"
#include "rondo/fs/dir.hpp"
#include "rondo/fs/directory.hpp"
#include "rondo/fs/file.hpp"

namespace rondo::testing {
namespace {

constexpr Errc errc(int number) { return static_cast<Errc>(number); }

class KernelFiles : public EveryDriver {
 protected:
  template <class F>
  void in_directory(F body) {
    run([&]() -> Task<> {
      co_await fs::with_temporary_directory([&](std::string path) { return body(path + "/"); });
    });
  }
};

TEST_P(KernelFiles, a_full_disk_is_no_space_and_names_the_file) {
  run([]() -> Task<> {
    auto full = co_await fs::File::open("/dev/full", {.read = false, .write = true}).or_throw();
    auto refused = co_await full.write_all("x");
    EXPECT_EQ(refused.error(), Errc::no_space);
    EXPECT_THAT(refused.error().message(), ::testing::HasSubstr("/dev/full"));
  });
}

TEST_P(KernelFiles, names_do_not_move_between_file_systems) {
  in_directory([](std::string at) -> Task<> {
    co_await fs::write_file(at + "a", "x").or_throw();
    EXPECT_EQ((co_await fs::rename(at + "a", "/proc/a")).error(), errc(EXDEV));
    EXPECT_EQ(co_await fs::read_file(at + "a").or_throw(), "x") << "it stays where it was";
  });
}

TEST_P(KernelFiles, links_do_not_lead_out_of_a_directory_held_open) {
  in_directory([](std::string at) -> Task<> {
    co_await fs::make_directories(at + "root").or_throw();
    co_await fs::write_file(at + "secret", "outside").or_throw();
    co_await fs::write_file(at + "root/a", "inside").or_throw();
    co_await fs::symbolic_link("../secret", at + "root/up").or_throw();
    co_await fs::symbolic_link("/etc/passwd", at + "root/away").or_throw();
    co_await fs::symbolic_link("/proc/self/root", at + "root/magic").or_throw();
    co_await fs::symbolic_link("a", at + "root/near").or_throw();
    auto root = co_await fs::Directory::open(at + "root").or_throw();
    for (const char* out : {"up", "away", "magic/etc/passwd"})
      EXPECT_EQ((co_await root.open_file(out)).error(), Errc::access_denied) << out;
    auto near = co_await root.open_file("near").or_throw();
    EXPECT_EQ(co_await near.read_to_end(100).or_throw(), "inside");
    // It is the directory that was opened, wherever it is now.
    co_await fs::rename(at + "root", at + "elsewhere").or_throw();
    EXPECT_TRUE((co_await root.open_file("a")).has_value());
  });
}

TEST_P(KernelFiles, nothing_is_made_renamed_or_removed_through_a_link_out_of_a_directory) {
  in_directory([](std::string at) -> Task<> {
    co_await fs::make_directories(at + "root/in").or_throw();
    co_await fs::make_directories(at + "out").or_throw();
    co_await fs::write_file(at + "out/kept", "kept").or_throw();
    co_await fs::write_file(at + "root/a", "inside").or_throw();
    co_await fs::symbolic_link("../out", at + "root/up").or_throw();
    co_await fs::symbolic_link("../out/kept", at + "root/last").or_throw();
    auto root = co_await fs::Directory::open(at + "root").or_throw();
    for (const char* out : {"up", "up/b", "up/b/c"})
      EXPECT_EQ((co_await root.make_directories(out)).error(), Errc::access_denied) << out;
    EXPECT_EQ((co_await root.rename("a", "up/a")).error(), Errc::access_denied);
    EXPECT_EQ((co_await root.rename("up/kept", "b")).error(), Errc::access_denied);
    EXPECT_EQ((co_await root.remove("up/kept")).error(), Errc::access_denied);
    // A link at the end is what is renamed over, or removed.
    co_await root.rename("a", "last").or_throw();
    co_await root.remove("up").or_throw();
    EXPECT_EQ(co_await fs::read_file(at + "root/last").or_throw(), "inside");
    EXPECT_EQ(co_await fs::read_file(at + "out/kept").or_throw(), "kept");
    EXPECT_EQ((co_await fs::list(at + "out")).or_throw().size(), 1u);
  });
}

TEST_P(KernelFiles, directories_that_cannot_be_made_are_an_error_not_a_loop) {
  run([]() -> Task<> {
    auto made = co_await with_timeout(60s, fs::make_directories("/proc/nowhere/at/all"));
    EXPECT_EQ(made.error(), Errc::no_such_file);
  });
}

TEST_P(KernelFiles, paths_that_lead_nowhere_say_why) {
  in_directory([](std::string at) -> Task<> {
    co_await fs::write_file(at + "file", "x").or_throw();
    co_await fs::symbolic_link(at + "loop", at + "loop").or_throw();
    EXPECT_EQ((co_await fs::read_file(at + "loop")).error(), errc(ELOOP));
    EXPECT_EQ((co_await fs::read_file(at + "file/below")).error(), errc(ENOTDIR));
    EXPECT_EQ((co_await fs::read_file(at + std::string(300, 'n'))).error(), errc(ENAMETOOLONG));
    EXPECT_EQ((co_await fs::read_file(at)).error(), errc(EISDIR));
    EXPECT_EQ((co_await fs::write_file(at, "x")).error(), errc(EISDIR));
    EXPECT_EQ((co_await fs::write_file_atomic(at + "none/x", "x")).error(), Errc::no_such_file);
    EXPECT_EQ((co_await fs::remove_directory(at + "file")).error(), errc(ENOTDIR));
    EXPECT_EQ((co_await fs::remove(at)).error(), errc(EISDIR));
  });
}

TEST_P(KernelFiles, what_one_may_not_do_is_access_denied) {
  // In a child without rights, for root may do everything.
  const std::string at = (std::filesystem::temp_directory_path() /
                          ("rondo-denied-" + std::to_string(::getpid()) + GetParam()))
                             .string();
  std::filesystem::create_directory(at);
  std::ofstream(at + "/secret") << "x";
  ::chmod((at + "/secret").c_str(), 0);
  ::chmod(at.c_str(), 0755);
  const auto as_nobody = [&] {
    if (::geteuid() == 0 && ::setresuid(65'534, 65'534, 65'534) != 0) ::_exit(2);
    if (::geteuid() != 65'534) ::chmod(at.c_str(), 0555);
    Loop loop(loop_options());
    const bool denied =
        loop.run([](std::string where) -> Task<bool> {
              auto read = co_await fs::read_file(where + "/secret");
              auto made = co_await fs::make_directory(where + "/new");
              auto written = co_await fs::write_file_atomic(where + "/new", "x");
              co_return !read && read.error() == Errc::access_denied && !made &&
                  made.error() == Errc::access_denied && !written &&
                  written.error() == Errc::access_denied;
            }(at))
            .or_throw();
    ::_exit(denied ? 0 : 1);
  };
  EXPECT_EXIT(as_nobody(), ::testing::ExitedWithCode(0), "");
  ::chmod(at.c_str(), 0755);
  std::filesystem::remove_all(at);
}

INSTANTIATE_TEST_SUITE_P(kernel_drivers, KernelFiles,
                         ::testing::Values(std::string("uring"), std::string("epoll")),
                         [](const auto& which) { return which.param; });

}  // namespace
}  // namespace rondo::testing
