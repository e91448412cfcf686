// SPDX-License-Identifier: Apache-2.0
#include "http/packed_files.hpp"

#include <algorithm>
#include <utility>

#include "rondo/base/limits.hpp"
#include "rondo/core/offload.hpp"

namespace rondo::http {

struct PackedFiles::Turn {
  Turn(PackedFiles& of, std::string_view tag, std::uint64_t bytes)
      : owner(of), at(of.packing_.emplace(tag, std::make_shared<Event>()).first), size(bytes) {
    owner.in_work_ += size;
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn() {
    owner.in_work_ -= size;
    at->second->set();
    owner.packing_.erase(at);
  }
  PackedFiles& owner;
  decltype(PackedFiles::packing_)::iterator at;
  std::uint64_t size;
};

const PackedFiles::Answer* PackedFiles::find(std::string_view etag) {
  const auto found = index_.find(etag);
  if (found == index_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  return &entries_.front().answer;
}

Task<PackedFiles::Answer> PackedFiles::get(std::string etag, proto::Coding coding, fs::File& file,
                                           std::uint64_t size) {
  while (true) {
    if (const Answer* known = find(etag)) co_return *known;
    const auto other = packing_.find(etag);
    if (other == packing_.end()) break;
    const std::shared_ptr<Event> over = other->second;  // The entry goes before those who wait.
    co_await over->wait();
  }
  // Before it is read: files that wait for a processor are memory too.
  if (in_work_ + size > limits::http_packing_max.value) co_return std::nullopt;
  const Turn turn(*this, etag, size);
  ++packings_;
  auto text = co_await file.read_to_end(k_packed_max);
  // One that changed meanwhile is not what its tag says.
  if (!text || text->size() != size) co_return std::nullopt;
  auto made = co_await run_cpu([&] { return proto::pack(coding, *text); });
  if (!made) co_return std::nullopt;
  Answer answer;
  if (made->size() < size) answer = SharedBytes::copy(*made);
  put(std::move(etag), answer);
  co_return answer;
}

/// With what stands around it, so that files which do not get smaller are bounded as well.
std::size_t PackedFiles::cost_of(const Entry& entry) noexcept {
  constexpr std::size_t k_around = 256;
  return k_around + entry.etag.size() + (entry.answer ? entry.answer->size() : 0);
}

void PackedFiles::put(std::string etag, Answer answer) {
  entries_.push_front({std::move(etag), std::move(answer)});
  index_.emplace(entries_.front().etag, entries_.begin());
  size_ += cost_of(entries_.front());
  while (size_ > limits::http_packed_max.value) {
    size_ -= cost_of(entries_.back());
    index_.erase(entries_.back().etag);
    entries_.pop_back();
  }
}

StaticFilesStatistics PackedFiles::statistics() const noexcept {
  return {.known = entries_.size(), .kept_bytes = size_, .packings = packings_};
}

}  // namespace rondo::http
