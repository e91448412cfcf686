// SPDX-License-Identifier: Apache-2.0
// File operations on a ring: results as perform() gives them, the linked chain of
// read_whole_file, and its slots; with all features, with those of 6.1, and on a ring of four.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <string>

#include "driver_fixture.hpp"

#include "rondo/io/file_ops.hpp"

namespace rondo::io::testing {
namespace {

std::size_t open_descriptors() {
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

/// GetParam(): "uring", "uring 6.1" or "uring small".
class UringFiles : public DriverTest {
 protected:
  void SetUp() override {
    if (GetParam() == "uring 6.1") ::setenv("RONDO_URING_FEATURES", "6.1", 1);
    ring_ = std::unique_ptr<Driver>(make_driver(options()).release());
    char name[] = "/tmp/rondo-files-XXXXXX";
    directory_ = ::mkdtemp(name);
  }
  void TearDown() override {
    ring_.reset();
    ::unsetenv("RONDO_URING_FEATURES");
    std::filesystem::remove_all(directory_);
  }
  static DriverOptions options() {
    const bool small = GetParam() == "uring small";
    return {.kind = DriverKind::uring, .ring_entries = small ? 4U : 256U, .buffer_count = 16,
            .buffer_size = 256};
  }
  Driver& ring() { return *ring_; }
  template <class F>
  [[nodiscard]] bool turn_until(F done) {
    for (int turn = 0; turn < 100'000 && !done(); ++turn)
      ring().wait(Wait::block, ring().now() + 20ms);
    return done();
  }
  template <class Op>
  std::int32_t ask(Recorded<Op>& op) {
    op.got.clear();
    ring().submit(op);
    EXPECT_TRUE(turn_until([&] { return op.ended(); })) << op_name(op.kind);
    return op.result();
  }
  std::string at(std::string_view name) const { return directory_ + "/" + std::string(name); }
  std::string with(std::string_view name, std::string_view content) {
    std::ofstream(at(name)) << content;
    return at(name);
  }
  std::int32_t whole(const std::string& path, std::string& into) {
    Recorded<ReadWholeFileOp> op;
    op.path = path.c_str();
    op.into = std::as_writable_bytes(std::span(into));
    return ask(op);
  }

 private:
  std::unique_ptr<Driver> ring_;
  std::string directory_;
};

TEST_P(UringFiles, the_ring_takes_the_kinds_that_kernel_6_1_has) {
  for (OpKind kind : {OpKind::open, OpKind::fsync, OpKind::stat, OpKind::rename, OpKind::unlink,
                      OpKind::make_directory, OpKind::link, OpKind::read_whole_file})
    EXPECT_TRUE(ring().handles(kind)) << op_name(kind);
  EXPECT_FALSE(ring().handles(OpKind::list_directory));
  if (GetParam() == "uring 6.1") EXPECT_FALSE(ring().handles(OpKind::truncate));
}

TEST_P(UringFiles, a_file_is_made_written_synced_looked_at_renamed_linked_and_removed) {
  const std::string a = at("a"), b = at("b"), c = at("c"), s = at("s"), d = at("d");
  Recorded<OpenOp> open;
  open.path = a.c_str();
  open.flags = O_RDWR | O_CREAT | O_EXCL;
  open.permissions = 0600;
  const int fd = ask(open);
  ASSERT_GE(fd, 0);
  EXPECT_EQ(::fcntl(fd, F_GETFD), FD_CLOEXEC);
  EXPECT_EQ(ask(open), -EEXIST);
  Recorded<WriteOp> write;
  write.fd = fd;
  write.from = as_bytes("twelve bytes");
  write.offset = 0;
  EXPECT_EQ(ask(write), 12);
  Recorded<FsyncOp> sync;
  sync.fd = fd;
  EXPECT_EQ(ask(sync), 0);
  sync.data_only = true;
  EXPECT_EQ(ask(sync), 0);
  if (ring().handles(OpKind::truncate)) {
    Recorded<TruncateOp> cut;
    cut.fd = fd;
    cut.size = 5;
    EXPECT_EQ(ask(cut), 0);
  } else {
    ASSERT_EQ(::ftruncate(fd, 5), 0);
  }
  Recorded<StatOp> stat;
  stat.fd = fd;
  ASSERT_EQ(ask(stat), 0);
  EXPECT_EQ(stat.found.size, 5u);
  EXPECT_EQ(stat.found.type, FileType::regular);
  EXPECT_EQ(stat.found.permissions, 0600u);
  Recorded<RenameOp> rename;
  rename.from = a.c_str();
  rename.to = b.c_str();
  EXPECT_EQ(ask(rename), 0);
  EXPECT_EQ(ask(rename), -ENOENT);
  Recorded<LinkOp> link;
  link.target = b.c_str();
  link.path = c.c_str();
  EXPECT_EQ(ask(link), 0);
  EXPECT_EQ(ask(link), -EEXIST);
  rename.from = c.c_str();
  rename.replace = false;
  EXPECT_EQ(ask(rename), -EEXIST);
  link.path = s.c_str();
  link.symbolic = true;
  EXPECT_EQ(ask(link), 0);
  stat.path = s.c_str();
  stat.follow = false;
  ASSERT_EQ(ask(stat), 0);
  EXPECT_EQ(stat.found.type, FileType::symlink);
  Recorded<MakeDirectoryOp> make;
  make.path = d.c_str();
  EXPECT_EQ(ask(make), 0);
  EXPECT_EQ(ask(make), -EEXIST);
  Recorded<UnlinkOp> unlink;
  unlink.path = d.c_str();
  EXPECT_EQ(ask(unlink), -EISDIR);
  unlink.directory = true;
  EXPECT_EQ(ask(unlink), 0);
  unlink.path = b.c_str();
  EXPECT_EQ(ask(unlink), -ENOTDIR);
  unlink.directory = false;
  EXPECT_EQ(ask(unlink), 0);
  EXPECT_EQ(ask(unlink), -ENOENT);
  ::close(fd);
}

TEST_P(UringFiles, a_whole_file_is_read_and_nothing_stays_open) {
  const std::size_t before = open_descriptors();
  std::string into(4096, '?');
  EXPECT_EQ(whole(with("short", "content"), into), 7);
  EXPECT_EQ(into.substr(0, 7), "content");
  EXPECT_EQ(whole(with("empty", ""), into), 0);
  EXPECT_EQ(whole(with("exact", std::string(4096, 'e')), into), 4096);
  EXPECT_EQ(whole(with("long", std::string(9000, 'l')), into), 4096);
  EXPECT_EQ(into, std::string(4096, 'l'));
  EXPECT_EQ(open_descriptors(), before);
}

TEST_P(UringFiles, each_link_of_the_chain_tells_its_error) {
  std::string into(64, '?');
  EXPECT_EQ(whole(at("none"), into), -ENOENT);
  EXPECT_EQ(whole(at(""), into), -EISDIR);
  EXPECT_EQ(whole(with("file", "x") + "/below", into), -ENOTDIR);
  EXPECT_EQ(whole(at(std::string(300, 'n')), into), -ENAMETOOLONG);
  std::filesystem::create_symlink("loop", at("loop"));
  EXPECT_EQ(whole(at("loop"), into), -ELOOP);
  EXPECT_EQ(whole(at("file"), into), 1) << "the slot is good after every error";
}

TEST_P(UringFiles, a_file_that_comes_in_pieces_is_not_taken_for_a_whole_one) {
  std::string into(1 << 20, '?');
  // Lines of /proc end every read before the buffer is full.
  const std::int32_t got = whole("/proc/self/smaps", into);
  EXPECT_EQ(got, -EAGAIN);
}

TEST_P(UringFiles, more_whole_files_than_slots_are_all_read) {
  const std::string path = with("many", "many files");
  std::deque<Recorded<ReadWholeFileOp>> ops(500);
  std::deque<std::array<std::byte, 16>> memory(ops.size());
  for (std::size_t i = 0; i < ops.size(); ++i) {
    ops[i].path = path.c_str();
    ops[i].into = memory[i];
    ring().submit(ops[i]);
  }
  for (std::size_t i = 0; i < ops.size(); ++i) {
    ASSERT_TRUE(turn_until([&] { return ops[i].ended(); }));
    EXPECT_EQ(ops[i].got.size(), 1u);
    EXPECT_EQ(ops[i].result(), 10);
    EXPECT_EQ(as_text(ByteView(memory[i]).first(10)), "many files");
  }
}

TEST_P(UringFiles, cancelled_chains_complete_once_and_give_their_slots_back) {
  const std::string fifo = at("fifo");
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  const std::string path = with("file", "x");
  std::array<std::byte, 8> memory{};
  // A pipe with a writer that is silent: 64 wait in their reads, the rest for a slot.
  const int writer = ::open(fifo.c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_GE(writer, 0);
  const std::size_t before = open_descriptors();
  std::deque<Recorded<ReadWholeFileOp>> ops(70);
  for (auto& op : ops) {
    op.path = fifo.c_str();
    op.into = memory;
    ring().submit(op);
  }
  for (int i = 0; i < 5; ++i) ring().wait(Wait::poll, {});
  for (auto& op : ops) {
    EXPECT_FALSE(op.ended());
    ring().cancel(op);
    ring().cancel(op);
  }
  for (auto& op : ops) {
    ASSERT_TRUE(turn_until([&] { return op.ended(); }));
    EXPECT_EQ(op.got.size(), 1u);
    EXPECT_EQ(op.result(), -ECANCELED);
  }
  std::string into(8, '?');
  for (int i = 0; i < 100; ++i) ASSERT_EQ(whole(path, into), 1);
  EXPECT_EQ(open_descriptors(), before);
  ::close(writer);
}

TEST_P(UringFiles, a_chain_cancelled_at_once_has_its_data_or_did_nothing) {
  const std::string path = with("file", "x");
  std::array<std::byte, 8> memory{};
  for (int i = 0; i < 300; ++i) {
    Recorded<ReadWholeFileOp> op;
    op.path = path.c_str();
    op.into = memory;
    ring().submit(op);
    if (i % 2 != 0) ring().wait(Wait::poll, {});
    ring().cancel(op);
    ASSERT_TRUE(turn_until([&] { return op.ended(); }));
    EXPECT_EQ(op.got.size(), 1u);
    EXPECT_TRUE(op.result() == 1 || op.result() == -ECANCELED) << op.result();
  }
}

INSTANTIATE_TEST_SUITE_P(Rings, UringFiles,
                         ::testing::Values("uring", "uring 6.1", "uring small"),
                         [](const auto& info) {
                           std::string name = info.param;
                           for (char& c : name)
                             if (c == ' ' || c == '.') c = '_';
                           return name;
                         });

}  // namespace
}  // namespace rondo::io::testing
