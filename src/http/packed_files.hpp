// SPDX-License-Identifier: Apache-2.0
// PackedFiles: files as they are sent packed, by their ETags; made when they are asked for first.
// One task packs a file, however many ask for it meanwhile; that a file does not get smaller is
// kept too. What is kept (limits::http_packed_max) and what is packed at once
// (limits::http_packing_max) are bounded; what was asked for longest ago goes first.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "rondo/base/bytes.hpp"
#include "rondo/core/event.hpp"
#include "rondo/core/task.hpp"
#include "rondo/fs/file.hpp"
#include "rondo/http/static_files.hpp"
#include "rondo/proto/compress.hpp"

namespace rondo::http {

constexpr std::uint64_t k_packed_min = 1'024;      // Less is not worth the header.
constexpr std::uint64_t k_packed_max = 8'388'608;  // More takes a processor for too long.

class PackedFiles {
 public:
  /// Packed, or nothing: it is sent as it is.
  using Answer = std::optional<SharedBytes>;

  /// What is known of that tag, valid until the next call; null: it was not packed yet.
  const Answer* find(std::string_view etag);
  /// The same, packed if it has to be: `size` bytes of `file`. Nothing also when it cannot be read
  /// or when too much is being packed. Cancel: whoever waits for this one packs it then.
  Task<Answer> get(std::string etag, proto::Coding coding, fs::File& file, std::uint64_t size);
  StaticFilesStatistics statistics() const noexcept;

 private:
  struct Entry {
    std::string etag;
    Answer answer;
  };
  /// Being packed: until its task ends, however it does.
  struct Turn;
  void put(std::string etag, Answer answer);
  static std::size_t cost_of(const Entry& entry) noexcept;

  std::list<Entry> entries_;  ///< the one asked for last in front
  std::map<std::string_view, std::list<Entry>::iterator> index_;        ///< by the tags of entries_
  std::map<std::string, std::shared_ptr<Event>, std::less<>> packing_;  ///< set when it is over
  std::size_t size_ = 0;
  std::uint64_t in_work_ = 0;  ///< bytes of files that are being packed
  std::uint64_t packings_ = 0;
};

}  // namespace rondo::http
