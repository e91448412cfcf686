// SPDX-License-Identifier: Apache-2.0
// The simulated disk: what a file system does, what fails, and what a power loss leaves.
#include "io/sim/disk.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <set>
#include <string>

#include "io/sim/world.hpp"
#include "sim_fixture.hpp"

namespace rondo::io::sim {
namespace {

class SimDisk : public ::testing::Test {
 protected:
  OpenFile open(std::string_view path, int flags = O_RDWR | O_CREAT) {
    OpenFile file;
    EXPECT_EQ(disk.open(path, flags, 0644, file), 0) << path;
    return file;
  }
  void put(OpenFile& file, std::string_view text, std::int64_t at = -1) {
    EXPECT_EQ(disk.write(file, rondo::as_bytes(text), at), static_cast<int>(text.size()));
  }
  void put_durable(std::string_view path, std::string_view text) {
    OpenFile file = open(path, O_RDWR | O_CREAT | O_TRUNC);
    put(file, text);
    EXPECT_EQ(disk.sync(file), 0);
  }
  std::string content(std::string_view path) {
    std::string text(100'000, '\0');
    const auto size =
        disk.read_whole(path, std::as_writable_bytes(std::span(text.data(), text.size())));
    if (size < 0) return "error " + std::to_string(size);
    text.resize(static_cast<std::size_t>(size));
    return text;
  }
  bool exists(std::string_view path) {
    FileStatus found;
    return disk.status(path, false, found) == 0;
  }
  std::uint32_t links(std::string_view path) {
    FileStatus found;
    EXPECT_EQ(disk.status(path, false, found), 0);
    return found.links;
  }

  World world{7, {}};
  Host& host = world.add_host("host", {"10.0.0.1"});
  Disk& disk = *host.disk;
};

TEST_F(SimDisk, what_is_written_is_read_and_holes_are_zeros) {
  OpenFile file = open("/f");
  put(file, "end", 10'000);
  EXPECT_EQ(content("/f"), std::string(10'000, '\0') + "end");
  FileStatus found;
  disk.status(file, found);
  EXPECT_EQ(found.blocks, 8U);  // One page: a hole takes no room.
  EXPECT_EQ(disk.truncate(file, 10'001), 0);
  EXPECT_EQ(disk.truncate(file, 10'003), 0);
  EXPECT_EQ(content("/f"), std::string(10'000, '\0') + std::string("e\0\0", 3));
}

TEST_F(SimDisk, open_flags_mean_what_they_mean_to_open_2) {
  OpenFile file;
  EXPECT_EQ(disk.open("/none", O_RDONLY, 0, file), -ENOENT);
  put_durable("/f", "text");
  EXPECT_EQ(disk.open("/f", O_CREAT | O_EXCL | O_RDWR, 0644, file), -EEXIST);
  EXPECT_EQ(disk.open("/f", O_DIRECTORY, 0, file), -ENOTDIR);
  EXPECT_EQ(disk.open("/tmp", O_RDWR, 0, file), -EISDIR);
  EXPECT_EQ(disk.open("/f/x", O_RDONLY, 0, file), -ENOTDIR);
  OpenFile append = open("/f", O_WRONLY | O_APPEND);
  put(append, "!");
  EXPECT_EQ(content("/f"), "text!");
  std::byte room[4];
  EXPECT_EQ(disk.read(append, room, 0), -EBADF);
  open("/f", O_WRONLY | O_TRUNC);
  EXPECT_EQ(content("/f"), "");
  EXPECT_EQ(disk.open(std::string(300, 'x'), O_CREAT | O_RDWR, 0644, file), -ENAMETOOLONG);
}

TEST_F(SimDisk, permissions_bind_the_owner) {
  put_durable("/f", "x");
  OpenFile made;
  EXPECT_EQ(disk.open("/secret", O_CREAT | O_WRONLY, 0200, made), 0);
  EXPECT_EQ(disk.open("/secret", O_RDONLY, 0, made), -EACCES);
  EXPECT_EQ(disk.make_directory("/sealed", 0500), 0);
  EXPECT_EQ(disk.open("/sealed/f", O_CREAT | O_RDWR, 0644, made), -EACCES);
  EXPECT_EQ(disk.rename("/f", "/sealed/f", true), -EACCES);
}

TEST_F(SimDisk, a_rename_replaces_and_a_removed_file_lives_while_it_is_open) {
  put_durable("/a", "new");
  put_durable("/b", "old");
  OpenFile old = open("/b");
  EXPECT_EQ(disk.rename("/a", "/b", false), -EEXIST);
  EXPECT_EQ(disk.rename("/a", "/b", true), 0);
  EXPECT_EQ(content("/b"), "new");
  EXPECT_FALSE(exists("/a"));
  std::byte room[3];
  EXPECT_EQ(disk.read(old, room, 0), 3);
  FileStatus found;
  disk.status(old, found);
  EXPECT_EQ(found.links, 0U);
  old = {};
  EXPECT_EQ(disk.unlink("/b", true), -ENOTDIR);
  EXPECT_EQ(disk.unlink("/b", false), 0);
  EXPECT_EQ(disk.unlink("/b", false), -ENOENT);
}

TEST_F(SimDisk, directories_refuse_what_would_lose_something) {
  EXPECT_EQ(disk.make_directory("/d", 0755), 0);
  EXPECT_EQ(disk.make_directory("/d", 0755), -EEXIST);
  EXPECT_EQ(disk.make_directory("/d/e", 0755), 0);
  EXPECT_EQ(disk.unlink("/d", true), -ENOTEMPTY);
  EXPECT_EQ(disk.rename("/d", "/d/e/f", true), -EINVAL);
  EXPECT_EQ(disk.unlink("/d", false), -EISDIR);
  EXPECT_EQ(disk.make_directory("/g", 0755), 0);
  EXPECT_EQ(disk.rename("/g", "/d", true), -ENOTEMPTY);
  EXPECT_EQ(disk.rename("/d", "/g", true), 0);
  EXPECT_TRUE(exists("/g/e/../e"));
  std::vector<DirectoryEntry> entries;
  EXPECT_EQ(disk.list("/", entries, 1), -E2BIG);
  entries.clear();
  EXPECT_EQ(disk.list("/", entries, 10), 2);
}

TEST_F(SimDisk, links_are_followed_counted_and_bounded) {
  put_durable("/f", "x");
  EXPECT_EQ(disk.link("/f", "/hard", false), 0);
  EXPECT_EQ(links("/f"), 2U);
  EXPECT_EQ(disk.link("/tmp", "/t", false), -EPERM);
  EXPECT_EQ(disk.link("f", "/soft", true), 0);
  EXPECT_EQ(content("/soft"), "x");
  OpenFile file;
  EXPECT_EQ(disk.open("/soft", O_RDONLY | O_NOFOLLOW, 0, file), -ELOOP);
  EXPECT_EQ(disk.link("round", "/round", true), 0);
  EXPECT_EQ(disk.open("/round", O_RDONLY, 0, file), -ELOOP);
  EXPECT_EQ(disk.link("/tmp", "/there", true), 0);
  put_durable("/there/inner", "y");
  EXPECT_EQ(content("/tmp/inner"), "y");
  EXPECT_EQ(disk.unlink("/there", false), 0);
  EXPECT_TRUE(exists("/tmp/inner"));
}

TEST_F(SimDisk, a_full_disk_takes_what_fits_and_room_comes_back) {
  world.set_disk_faults({.size = 2 * k_page_size});
  OpenFile file = open("/f");
  const std::string text(3 * k_page_size, 'x');
  EXPECT_EQ(disk.write(file, rondo::as_bytes(text), 0), static_cast<int>(2 * k_page_size));
  EXPECT_EQ(disk.write(file, rondo::as_bytes(text), 2 * k_page_size), -ENOSPC);
  put(file, "over", 5);  // What has its page already fits.
  EXPECT_EQ(disk.unlink("/f", false), 0);
  EXPECT_EQ(disk.used_bytes(), 2 * k_page_size);
  file = {};
  disk.sync_all();
  EXPECT_EQ(disk.used_bytes(), 0U);
}

TEST_F(SimDisk, errors_and_short_calls_come_at_their_rates) {
  put_durable("/f", "text");
  OpenFile file = open("/f");
  std::byte room[4];
  world.set_disk_faults({.read_error_per_mille = 1'000, .write_error_per_mille = 1'000});
  EXPECT_EQ(disk.read(file, room, 0), -EIO);
  EXPECT_EQ(disk.write(file, room, 0), -EIO);
  EXPECT_EQ(disk.truncate(file, 0), -EIO);
  world.set_disk_faults({.short_read_per_mille = 1'000, .short_write_per_mille = 1'000});
  for (int i = 0; i < 20; ++i) {
    EXPECT_LT(disk.read(file, room, 0), 4);
    EXPECT_LT(disk.write(file, room, 0), 4);
  }
}

TEST_F(SimDisk, what_was_synced_survives_every_power_loss) {
  for (int i = 0; i < 50; ++i) {
    const std::string text = "number " + std::to_string(i) + std::string(9'000, 'x');
    put_durable("/f", text);
    disk.lose_power();
    EXPECT_EQ(content("/f"), text);
  }
}

TEST_F(SimDisk, what_was_not_synced_survives_in_parts) {
  std::set<std::string> seen;
  for (int i = 0; i < 300; ++i) {
    put_durable("/f", std::string(3 * k_page_size, 'a'));
    OpenFile file = open("/f");
    put(file, std::string(3 * k_page_size, 'b'), 0);
    disk.lose_power();
    std::string kept;
    const std::string text = content("/f");
    ASSERT_EQ(text.size(), 3 * k_page_size);
    for (std::size_t at = 0; at < text.size(); at += k_sector_size) {
      ASSERT_EQ(text.substr(at, k_sector_size), std::string(k_sector_size, text[at]));
      kept += text[at];
    }
    seen.insert(kept);
  }
  EXPECT_TRUE(seen.contains(std::string(24, 'a')));
  EXPECT_TRUE(seen.contains(std::string(24, 'b')));
  EXPECT_TRUE(seen.contains(std::string(8, 'a') + std::string(16, 'b')));  // In no order.
  EXPECT_GT(seen.size(), 30U);                                             // And torn.
}

TEST_F(SimDisk, a_write_of_many_pages_may_leave_its_size_and_nothing_else) {
  std::set<std::size_t> sizes;
  bool hole = false;
  for (int i = 0; i < 100; ++i) {
    put_durable("/f", "");
    OpenFile file = open("/f");
    put(file, std::string(2 * k_page_size, 'b'));
    disk.lose_power();
    sizes.insert(content("/f").size());
    hole = hole || content("/f") == std::string(2 * k_page_size, '\0');
  }
  EXPECT_EQ(sizes, (std::set<std::size_t>{0, 2 * k_page_size}));
  EXPECT_TRUE(hole);
}

TEST_F(SimDisk, a_process_that_ends_loses_nothing) {
  OpenFile file = open("/f");
  put(file, "text");
  disk.end_process();
  EXPECT_EQ(content("/f"), "text");
  EXPECT_EQ(disk.unsynced_pages(), 1U);
}

TEST_F(SimDisk, a_file_replaced_by_sync_and_rename_is_the_old_or_the_new_one) {
  bool old_seen = false;
  bool new_seen = false;
  for (int i = 0; i < 60; ++i) {
    put_durable("/f", "old");
    disk.sync_all();
    put_durable("/f.new", "new");
    EXPECT_EQ(disk.rename("/f.new", "/f", true), 0);
    disk.lose_power();
    const std::string text = content("/f");
    old_seen = old_seen || text == "old";
    new_seen = new_seen || text == "new";
    EXPECT_TRUE(text == "old" || text == "new") << text;
    EXPECT_EQ(exists("/f.new"), text == "old");
  }
  EXPECT_TRUE(old_seen && new_seen);
}

TEST_F(SimDisk, a_sync_of_the_directory_keeps_a_rename) {
  for (int i = 0; i < 30; ++i) {
    put_durable("/f", "old");
    put_durable("/f.new", "new" + std::to_string(i));
    EXPECT_EQ(disk.rename("/f.new", "/f", true), 0);
    OpenFile root = open("/", O_RDONLY | O_DIRECTORY);
    EXPECT_EQ(disk.sync(root), 0);
    disk.lose_power();
    EXPECT_EQ(content("/f"), "new" + std::to_string(i));
    EXPECT_FALSE(exists("/f.new"));
  }
}

TEST_F(SimDisk, a_file_in_a_directory_that_was_not_synced_may_be_gone) {
  bool gone = false;
  bool there = false;
  for (int i = 0; i < 60; ++i) {
    const std::string folder = "/d" + std::to_string(i);
    EXPECT_EQ(disk.make_directory(folder, 0755), 0);
    put_durable(folder + "/f", "text");
    disk.lose_power();
    there = there || exists(folder + "/f");
    gone = gone || !exists(folder);
  }
  EXPECT_TRUE(gone && there);
}

TEST_F(SimDisk, after_a_failed_sync_pages_are_lost_or_still_unsynced) {
  bool lost = false;
  bool kept = false;
  for (int i = 0; i < 60; ++i) {
    put_durable("/f", "old");
    OpenFile file = open("/f");
    put(file, "new", 0);
    world.set_disk_faults({.sync_error_per_mille = 1'000});
    EXPECT_EQ(disk.sync(file), -EIO);
    world.set_disk_faults({});
    EXPECT_EQ(content("/f"), "new");  // The page cache still has it.
    EXPECT_EQ(disk.sync(file), 0);
    disk.lose_power();
    lost = lost || content("/f") == "old";
    kept = kept || content("/f") == "new";
  }
  EXPECT_TRUE(lost && kept);
}

TEST_F(SimDisk, links_are_counted_anew_after_a_power_loss) {
  put_durable("/f", "x");
  EXPECT_EQ(disk.link("/f", "/g", false), 0);
  disk.sync_all();
  disk.lose_power();
  EXPECT_EQ(links("/f"), 2U);
  EXPECT_EQ(links("/"), 3U);  // "/tmp" refers to it.
}

// --- The same through operations of a driver ---

class SimFiles : public ::testing::Test {
 protected:
  template <class Op>
  std::int32_t wait(Recorded<Op>& op) {
    driver.submit(op);
    EXPECT_TRUE(nodes.until([&] { return op.ended(); }, 60s));
    return op.result();
  }
  int open(const char* path, int flags) {
    Recorded<OpenOp> op;
    op.path = path;
    op.flags = flags;
    return wait(op);
  }
  std::int32_t write(int fd, std::string_view text, std::int64_t offset) {
    Recorded<WriteOp> op;
    op.fd = fd;
    op.from = rondo::as_bytes(text);
    op.offset = offset;
    return wait(op);
  }
  std::int32_t close(int fd) {
    Recorded<CloseOp> op;
    op.fd = fd;
    return wait(op);
  }

  Nodes nodes{3, {.disk = {.latency = 1ms, .jitter = 3ms}, .cancel_races = true}};
  SimDriver& driver = nodes.add("host", "10.0.0.1");
};

TEST_F(SimFiles, operations_take_their_time_and_do_what_they_say) {
  const int fd = open("/f", O_RDWR | O_CREAT);
  ASSERT_GE(fd, 0);
  EXPECT_GE(nodes.world.now(), Duration(1ms).count());
  EXPECT_EQ(write(fd, "hello", 0), 5);
  Recorded<FsyncOp> sync;
  sync.fd = fd;
  EXPECT_EQ(wait(sync), 0);
  Recorded<StatOp> stat;
  stat.fd = fd;
  EXPECT_EQ(wait(stat), 0);
  EXPECT_EQ(stat.found.size, 5U);
  std::byte room[10];
  Recorded<ReadOp> read;
  read.fd = fd;
  read.into = room;
  read.offset = 1;
  EXPECT_EQ(wait(read), 4);
  EXPECT_EQ(close(fd), 0);
  EXPECT_EQ(open("/none", O_RDONLY), -ENOENT);
}

TEST_F(SimFiles, a_cancelled_operation_has_happened_or_not_and_says_which) {
  bool done = false;
  bool not_done = false;
  for (int i = 0; i < 40; ++i) {
    const std::string path = "/d" + std::to_string(i);
    Recorded<MakeDirectoryOp> make;
    make.path = path.c_str();
    driver.submit(make);
    driver.cancel(make);
    ASSERT_TRUE(nodes.until([&] { return make.ended(); }, 60s));
    FileStatus found;
    const bool there = driver.host().disk->status(path, true, found) == 0;
    EXPECT_EQ(make.result(), there ? 0 : -ECANCELED);
    (there ? done : not_done) = true;
  }
  EXPECT_TRUE(done && not_done);
}

TEST_F(SimFiles, writes_in_flight_overtake_each_other) {
  const int fd = open("/f", O_RDWR | O_CREAT);
  std::set<std::string> seen;
  for (int i = 0; i < 40; ++i) {
    Recorded<WriteOp> first, second;
    first.fd = second.fd = fd;
    first.offset = second.offset = 0;
    first.from = rondo::as_bytes(std::string_view("1"));
    second.from = rondo::as_bytes(std::string_view("2"));
    driver.submit(first);
    driver.submit(second);
    ASSERT_TRUE(nodes.until([&] { return first.ended() && second.ended(); }, 60s));
    std::byte room[1];
    EXPECT_EQ(driver.host().disk->read_whole("/f", room), 1);
    seen.insert(std::string(1, static_cast<char>(room[0])));
  }
  EXPECT_EQ(seen.size(), 2U);
  EXPECT_EQ(close(fd), 0);
}

TEST_F(SimFiles, a_crash_ends_what_is_in_flight_without_a_word) {
  bool done = false;
  bool not_done = false;
  for (int i = 0; i < 20; ++i) {
    SimDriver& other = nodes.add("host" + std::to_string(i), "10.0.1." + std::to_string(i + 1));
    Recorded<MakeDirectoryOp> make;
    make.path = "/d";
    other.submit(make);
    other.crash(SimDriver::Crash::process);
    ASSERT_TRUE(nodes.until([&] { return make.ended(); }, 60s));
    EXPECT_EQ(make.result(), -ENETDOWN);
    FileStatus found;
    (other.host().disk->status("/d", true, found) == 0 ? done : not_done) = true;
  }
  EXPECT_TRUE(done && not_done);
}

TEST_F(SimFiles, a_table_of_descriptors_can_be_full) {
  SimDriver& small = nodes.add("small", "10.0.2.1", {.descriptors_max = 1});
  for (const int expected : {1, 0}) {
    Recorded<OpenOp> op;
    op.path = "/tmp";
    small.submit(op);
    ASSERT_TRUE(nodes.until([&] { return op.ended(); }, 60s));
    EXPECT_EQ(op.result() >= 0, expected == 1);
    if (expected == 0) {
      EXPECT_EQ(op.result(), -EMFILE);
    }
  }
}

}  // namespace
}  // namespace rondo::io::sim
