// SPDX-License-Identifier: Apache-2.0
#include "rondo/fs/file.hpp"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "fs/open_flags.hpp"
#include "fs/operations.hpp"
#include "rondo/core/cancel.hpp"
#include "rondo/core/detail/entry.hpp"
#include "rondo/core/detail/one_shot.hpp"
#include "rondo/core/sleep.hpp"

namespace rondo::fs {

std::int32_t flags_of(const OpenOptions& options) noexcept {
  const bool writes = options.write || options.append;
  if (!options.read && !writes) return -1;
  if (!writes && (options.create || options.create_new || options.truncate)) return -1;
  if (options.append && options.truncate) return -1;
  std::int32_t flags = !writes ? O_RDONLY : options.read ? O_RDWR : O_WRONLY;
  if (options.append) flags |= O_APPEND;
  if (options.create) flags |= O_CREAT;
  if (options.create_new) flags |= O_CREAT | O_EXCL;
  if (options.truncate) flags |= O_TRUNC;
  if (!options.follow) flags |= O_NOFOLLOW;
  return flags | O_NOCTTY;
}

namespace {

/// What a read of unknown length asks for first: most files are smaller.
constexpr std::size_t k_first_read = 16'384;
constexpr std::size_t k_read_step = 262'144;

Task<Result<UniqueFd>> open_descriptor(std::string_view path, std::int32_t flags,
                                       std::uint32_t permissions) {
  const std::string name(path);
  const std::int32_t opened = co_await file_operation<io::OpenOp>([&](io::OpenOp& op) {
    op.path = name.c_str();
    op.flags = flags;
    op.permissions = permissions;
  });
  if (opened < 0) co_return error_of(opened, "open", path);
  co_return UniqueFd(opened);
}

}  // namespace

// ---- Closing without waiting

namespace detail {
namespace {

/// Keeps the loop until its last file is closed.
class Closings final : public rondo::detail::LoopService {
 public:
  explicit Closings(Loop& loop) noexcept : loop_(loop) {}
  bool drained() const noexcept override { return open_ == 0; }
  void close(int fd) {
    struct Close : io::CloseOp, rondo::detail::Pooled {
      Closings* owner = nullptr;
    };
    auto* op = new Close;
    op->owner = this;
    op->fd = fd;
    op->on_complete = [](io::Operation& done, const io::Completion&) noexcept {
      auto* own = static_cast<Close*>(&done);
      --own->owner->open_;
      delete own;
    };
    ++open_;
    loop_.driver().submit(*op);
  }

 private:
  Loop& loop_;
  std::size_t open_ = 0;
};

}  // namespace

void close_later(UniqueFd descriptor) noexcept {
  Loop* loop = descriptor ? Loop::current_or_null() : nullptr;
  if (loop) loop->service<Closings>().close(descriptor.release());
}

}  // namespace detail

// ---- File

Task<Result<File>> File::open(std::string path, OpenOptions options) {
  const std::int32_t flags = flags_of(options);
  if (flags < 0 || !is_path(path)) co_return bad_path("open", path);
  auto opened = co_await open_descriptor(path, flags, options.permissions);
  if (!opened) co_return opened.error();
  File file(std::move(*opened), std::move(path));
  file.appends_ = options.append;
  co_return std::move(file);
}

Task<Result<File>> File::create(std::string path) {
  return open(std::move(path), {.read = false, .write = true, .create = true, .truncate = true});
}

Task<Result<>> File::write_all_at(ByteView from, std::uint64_t offset) {
  while (!from.empty()) {
    const auto written = co_await write_at(from, offset);
    if (!written) co_return written.error().about(path_);
    // A file never takes nothing without saying why; waiting for it would not end.
    if (*written == 0) co_return Error(Errc::io_error, "write", path_);
    from = from.subspan(*written);
    offset += *written;
  }
  co_return Result<>();
}

Task<Result<>> File::read_exact_at(ByteSpan into, std::uint64_t offset) {
  while (!into.empty()) {
    const auto got = co_await read_at(into, offset);
    if (!got) co_return got.error().about(path_);
    if (*got == 0) co_return Error(Errc::end_of_stream, "read", path_);
    into = into.subspan(*got);
    offset += *got;
  }
  co_return Result<>();
}

Task<Result<std::size_t>> File::read(ByteSpan into) {
  const auto got = co_await read_at(into, position_);
  if (!got) co_return got.error().about(path_);
  position_ += *got;
  co_return *got;
}

Task<Result<std::string>> File::read_to_end(std::size_t max) {
  std::string text;
  while (true) {
    const std::size_t had = text.size();
    const std::size_t step = had == 0 ? k_first_read : k_read_step;
    const std::size_t left = max - had;
    // One byte beyond the limit tells "just as large" from "larger".
    text.resize(had + (left < step ? left + 1 : step));
    const ByteSpan room = std::as_writable_bytes(std::span(text)).subspan(had);
    const auto got = co_await read(room);
    if (!got) co_return got.error();
    text.resize(had + *got);
    if (text.size() > max) co_return Error(Errc::too_large, "read", path_);
    if (*got == 0) co_return std::move(text);
  }
}

Task<Result<>> File::write_all(ByteView bytes) {
  auto done = co_await write_all_at(bytes, position_);
  if (!done) co_return done.error();
  position_ += bytes.size();
  if (appends_) {
    auto end = co_await seek_end();
    if (!end) co_return end.error();
  }
  co_return Result<>();
}

Task<Result<std::uint64_t>> File::seek_end() {
  auto now = co_await status();
  if (!now) co_return now.error();
  position_ = now->size;
  co_return position_;
}

Task<Result<>> File::truncate(std::uint64_t size) {
  const std::int32_t result = co_await file_operation<io::TruncateOp>([&](io::TruncateOp& op) {
    op.fd = fd_.get();
    op.size = size;
  });
  co_return outcome_of(result, "truncate", path_);
}

Task<Result<>> File::sync(bool data_only, const char* name) {
  const std::int32_t result = co_await file_operation<io::FsyncOp>([&](io::FsyncOp& op) {
    op.fd = fd_.get();
    op.data_only = data_only;
  });
  co_return outcome_of(result, name, path_);
}
Task<Result<>> File::sync_all() { return sync(false, "fsync"); }
Task<Result<>> File::sync_data() { return sync(true, "fdatasync"); }

Task<Result<FileStatus>> File::status() {
  FileStatus found;
  const std::int32_t result =
      co_await stat_into(found, [&](io::StatOp& op) { op.fd = fd_.get(); });
  if (result < 0) co_return error_of(result, "stat", path_);
  co_return found;
}

Task<Result<>> File::close() {
  struct Close : rondo::detail::OneShotAwaiter<io::CloseOp> {
    Close(int fd, rondo::detail::PromiseBase& parent) noexcept : OneShotAwaiter(parent) {
      op.fd = fd;
    }
    // Not struck here: nobody else has the descriptor any more.
    void await_suspend(std::coroutine_handle<>) noexcept { begin(); }
    std::int32_t await_resume() const noexcept { return result; }
  };
  struct CloseNow {
    int fd;
    Close awaiter(rondo::detail::PromiseBase& parent) && noexcept { return {fd, parent}; }
  };
  co_await checkpoint();  // From here on the descriptor is given up, whatever happens.
  const int fd = fd_.release();
  if (fd < 0) co_return Error(Errc::closed, "close", path_);
  co_return outcome_of(co_await CloseNow{fd}, "close", path_);
}

// ---- Whole files

Task<Result<std::string>> read_file(std::string path, ReadFileOptions options) {
  if (!is_path(path)) co_return bad_path("read", path);
  co_await rondo::detail::Entry{};
  if (Loop::current().driver().reads_caches()) {
    auto cached = io::read_cached_file(path.c_str(), options.max);
    if (cached) co_return *std::move(cached);
  }
  // Not a string yet: its bytes would be set to zero first, and a small file would be handed out
  // in 16 KiB. Copying what came costs a tenth of a microsecond for 4 KiB.
  const std::size_t room = std::min(k_first_read, options.max) + 1;
  const auto block = std::make_unique_for_overwrite<char[]>(room);
  const std::int32_t got =
      co_await file_operation<io::ReadWholeFileOp>([&](io::ReadWholeFileOp& op) {
        op.path = path.c_str();
        op.into = std::as_writable_bytes(std::span(block.get(), room));
      });
  const bool in_pieces = got == -static_cast<std::int32_t>(Errc::try_again);
  if (got < 0 && !in_pieces) co_return error_of(got, "read", path);
  if (!in_pieces) {
    const auto size = static_cast<std::size_t>(got);
    if (size < room) co_return std::string(block.get(), size);
    if (size > options.max) co_return Error(Errc::too_large, "read", path);
  }
  auto file = co_await File::open(std::move(path));
  if (!file) co_return file.error();
  co_return co_await file->read_to_end(options.max);
}

Task<Result<>> write_file(std::string path, ByteView bytes, WriteFileOptions options) {
  auto file = co_await File::open(std::move(path), {.read = false,
                                                    .write = true,
                                                    .append = options.append,
                                                    .create = true,
                                                    .truncate = !options.append,
                                                    .permissions = options.permissions});
  if (!file) co_return file.error();
  auto written = co_await file->write_all_at(bytes, 0);  // With `append` the offset is ignored.
  if (!written) co_return written;
  if (options.sync) {
    auto synced = co_await file->sync_all();
    if (!synced) co_return synced;
  }
  co_return co_await file->close();
}
Task<Result<>> write_file(std::string path, std::string_view text, WriteFileOptions options) {
  return write_file(std::move(path), as_bytes(text), options);
}

namespace {

Task<std::int32_t> unlink_quietly(const std::string& path) {
  co_return co_await file_operation<io::UnlinkOp>(
      [&](io::UnlinkOp& op) { op.path = path.c_str(); });
}

/// Makes the new content durable under its temporary name.
Task<Result<>> write_beside(const std::string& temporary, ByteView bytes,
                            std::uint32_t permissions) {
  auto file = co_await File::open(
      temporary,
      {.read = false, .write = true, .create_new = true, .permissions = permissions});
  if (!file) co_return file.error();
  auto written = co_await file->write_all_at(bytes, 0);
  if (!written) co_return written;
  auto synced = co_await file->sync_all();
  if (!synced) co_return synced;
  co_return co_await file->close();
}

Task<Result<>> sync_directory(const std::string& path) {
  auto opened = co_await open_descriptor(path, O_RDONLY | O_DIRECTORY, 0);
  if (!opened) co_return opened.error();
  File directory = File::adopt(std::move(*opened), path);
  co_return co_await directory.sync_all();
}

Task<Result<>> replace(const std::string& path, const std::string& temporary, ByteView bytes,
                       std::uint32_t permissions, bool& renamed) {
  auto written = co_await write_beside(temporary, bytes, permissions);
  if (!written) co_return written;
  const std::int32_t result = co_await file_operation<io::RenameOp>([&](io::RenameOp& op) {
    op.from = temporary.c_str();
    op.to = path.c_str();
  });
  if (result < 0) co_return error_of(result, "rename", path);
  renamed = true;
  co_return co_await sync_directory(parent_of(path));
}

}  // namespace

Task<Result<>> write_file_atomic(std::string path, ByteView bytes, std::uint32_t permissions) {
  if (!is_path(path) || name_of(path).empty()) co_return bad_path("write", path);
  std::string temporary = parent_of(path);
  if (!temporary.ends_with('/')) temporary += '/';
  temporary += random_name("." + std::string(name_of(path)) + ".");
  bool renamed = false;
  co_return co_await finally(replace(path, temporary, bytes, permissions, renamed),
                             [&]() -> Task<> {
                               if (!renamed) (void)co_await unlink_quietly(temporary);
                             });
}
Task<Result<>> write_file_atomic(std::string path, std::string_view text,
                                 std::uint32_t permissions) {
  return write_file_atomic(std::move(path), as_bytes(text), permissions);
}

// ---- Names

std::string parent_of(std::string_view path) {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  const std::size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return ".";
  return std::string(path.substr(0, slash == 0 ? 1 : slash));
}

std::string_view name_of(std::string_view path) noexcept {
  while (path.ends_with('/')) path.remove_suffix(1);
  return path.substr(path.rfind('/') + 1);  // npos + 1 is 0.
}

std::string random_name(std::string_view prefix) {
  constexpr char k_digits[] = "0123456789abcdef";
  std::array<std::byte, 8> random;
  Loop::current().driver().random(random);
  std::string name(prefix);
  for (const std::byte byte : random) {
    name += k_digits[std::to_integer<unsigned>(byte) >> 4];
    name += k_digits[std::to_integer<unsigned>(byte) & 15U];
  }
  return name;
}

}  // namespace rondo::fs
