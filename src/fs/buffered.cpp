// SPDX-License-Identifier: Apache-2.0
// States: nothing buffered; read_ holds bytes ahead of position_; written_ holds bytes before it.
// Never both: a read flushes first, a write forgets what was read ahead.
#include "rondo/fs/buffered.hpp"

#include <algorithm>
#include <cstring>

namespace rondo::fs {

void BufferedFile::forget() noexcept {
  read_.clear();
  taken_ = 0;
}

/// Reads ahead, behind what is there already. Yields how much came; 0 at the end.
Task<Result<std::size_t>> BufferedFile::fill() {
  if (!written_.empty()) {
    auto flushed = co_await flush();
    if (!flushed) co_return flushed.error();
  }
  read_.erase(0, std::exchange(taken_, 0));
  if (read_.empty()) read_end_ = position_;
  const std::size_t had = read_.size();
  std::string block(size_, '\0');
  auto got = co_await file_.read_at(std::as_writable_bytes(std::span(block)), read_end_);
  if (!got) co_return got.error().about(file_.path());
  read_.append(block, 0, *got);
  read_end_ += *got;
  co_return read_.size() - had;
}

Task<Result<std::optional<std::string>>> BufferedFile::read_line(std::size_t max) {
  std::size_t scanned = 0;
  while (true) {
    const std::size_t end = read_.find('\n', taken_ + scanned);
    if (end != std::string::npos && end - taken_ <= max) {
      std::string line = read_.substr(taken_, end - taken_);
      position_ += line.size() + 1;
      taken_ = end + 1;
      if (line.ends_with('\r')) line.pop_back();
      co_return std::optional<std::string>(std::move(line));
    }
    scanned = available();
    if (end != std::string::npos || scanned > max)
      co_return Error(Errc::too_large, "read_line", file_.path());
    auto more = co_await fill();
    if (!more) co_return more.error();
    if (*more > 0) continue;
    if (available() == 0) co_return std::optional<std::string>();
    std::string last = read_.substr(taken_);
    position_ += last.size();
    forget();
    co_return std::optional<std::string>(std::move(last));
  }
}

Task<Result<std::size_t>> BufferedFile::read(ByteSpan into) {
  if (available() == 0 && !into.empty()) {
    auto more = co_await fill();
    if (!more) co_return more.error();
  }
  const std::size_t size = std::min(into.size(), available());
  if (size > 0) std::memcpy(into.data(), read_.data() + taken_, size);
  taken_ += size;
  position_ += size;
  co_return size;
}

Task<Result<>> BufferedFile::read_exact(ByteSpan into) {
  while (available() < into.size()) {
    auto more = co_await fill();
    if (!more) co_return more.error();
    if (*more == 0) co_return Error(Errc::end_of_stream, "read_exact", file_.path());
  }
  auto all = co_await read(into);
  if (!all) co_return all.error();
  co_return Result<>();
}

Task<Result<std::string>> BufferedFile::read_to_end(std::size_t max) {
  while (available() <= max) {
    auto more = co_await fill();
    if (!more) co_return more.error();
    if (*more > 0) continue;
    std::string text = read_.substr(taken_);
    position_ += text.size();
    forget();
    co_return std::move(text);
  }
  co_return Error(Errc::too_large, "read", file_.path());
}

Task<Result<>> BufferedFile::write(ByteView bytes) {
  forget();
  if (written_.size() + bytes.size() > size_) {
    auto flushed = co_await flush();
    if (!flushed) co_return flushed;
  }
  if (bytes.size() > size_) {  // Copying it would gain nothing.
    file_.seek(position_);
    auto done = co_await file_.write_all(bytes);
    if (!done) co_return done;
    position_ = file_.tell();
    co_return Result<>();
  }
  written_.append(as_text(bytes));
  position_ += bytes.size();
  co_return Result<>();
}

Task<Result<>> BufferedFile::flush() {
  if (written_.empty()) co_return Result<>();
  file_.seek(position_ - written_.size());
  auto done = co_await file_.write_all(written_);
  if (!done) co_return done;
  written_.clear();
  position_ = file_.tell();  // Of an appending file: the end.
  co_return Result<>();
}

Task<Result<>> BufferedFile::sync_data() {
  auto flushed = co_await flush();
  if (!flushed) co_return flushed;
  co_return co_await file_.sync_data();
}

Task<Result<>> BufferedFile::seek(std::uint64_t position) {
  auto flushed = co_await flush();
  if (!flushed) co_return flushed;
  forget();
  position_ = position;
  co_return Result<>();
}

Task<Result<std::uint64_t>> BufferedFile::seek_end() {
  auto flushed = co_await flush();
  if (!flushed) co_return flushed.error();
  forget();
  auto end = co_await file_.seek_end();
  if (end) position_ = *end;
  co_return end;
}

Task<Result<>> BufferedFile::truncate(std::uint64_t size) {
  auto flushed = co_await flush();
  if (!flushed) co_return flushed;
  forget();
  co_return co_await file_.truncate(size);
}

Task<Result<>> BufferedFile::close() {
  auto flushed = co_await flush();
  if (!flushed) co_return flushed;
  forget();
  co_return co_await file_.close();
}

}  // namespace rondo::fs
