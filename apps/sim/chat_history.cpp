// SPDX-License-Identifier: Apache-2.0
// Most rules can be checked as things happen; those about what is missing wait for the end.
#include "sim/chat_history.hpp"

namespace rondo::sim {

namespace {

std::string name_of(const std::string& user, const std::string& cid) { return user + "/" + cid; }
std::string at(const std::string& room, Seq seq) { return room + "#" + std::to_string(seq); }

}  // namespace

void History::note(std::uint64_t word) noexcept {
  for (int byte = 0; byte < 8; ++byte) {
    digest_ = (digest_ ^ ((word >> (8 * byte)) & 0xff)) * 0x100000001b3ULL;
  }
}

void History::said(const std::string& user, const std::string& cid, Words words) {
  said_.emplace(Author(user, cid), std::move(words));
}

/// Where this author's message stands; one author's message stands in one place only.
History::Place* History::place(const Author& author, const std::string& room, Seq seq) {
  const std::string name = name_of(author.first, author.second);
  const auto words = said_.find(author);
  if (words == said_.end()) {
    fail("phantom: nobody said " + name + ", which stands at " + at(room, seq));
    return nullptr;
  }
  if (words->second.room != room) fail(name + " was said in another room than " + at(room, seq));
  const auto [found, added] = places_.try_emplace(author, Place{room, seq, 0, false, false});
  Place& known = found->second;
  if (!added && (known.room != room || known.seq != seq)) {
    fail("doubled: " + name + " stands at " + at(known.room, known.seq) + " and " + at(room, seq));
  }
  return &known;
}

void History::acked(const std::string& user, const SeenAck& ack) {
  ++acks_;
  repeats_ += ack.dup;
  note(static_cast<std::uint64_t>(ack.seq));
  Place* known = place({user, ack.cid}, ack.room, ack.seq);
  if (!known) return;
  const std::string name = name_of(user, ack.cid);
  if (known->ts != 0 && known->ts != ack.ts) fail(name + " was acknowledged with two times");
  known->ts = ack.ts;
  known->acked = true;
  if (!ack.dup && known->fresh_ack) fail(name + " was acknowledged twice as new");
  known->fresh_ack = known->fresh_ack || !ack.dup;
}

void History::saw(const SeenEvent& event) {
  ++events_;
  note(static_cast<std::uint64_t>(event.seq));
  const std::string where = at(event.room, event.seq);
  if (event.prev != event.seq - 1) fail("prev of " + where + " is " + std::to_string(event.prev));
  const auto [found, added] = rooms_[event.room].try_emplace(event.seq, event);
  const SeenEvent& known = found->second;
  if (!added) {
    const bool same = known.user == event.user && known.cid == event.cid && known.ts == event.ts &&
                      known.body == event.body;
    if (!same) {
      fail("two events at " + where + ": " + name_of(known.user, known.cid) + " and " +
           name_of(event.user, event.cid));
    }
    return;
  }
  Place* stands = place({event.user, event.cid}, event.room, event.seq);
  if (!stands) return;
  if (said_.find({event.user, event.cid})->second.body != event.body)
    fail("other words at " + where);
  if (stands->ts != 0 && stands->ts != event.ts)
    fail(where + " was acknowledged with another time");
  stands->ts = event.ts;
}

void History::finish() {
  for (const auto& [room, events] : rooms_) {
    Seq expected = 1;
    std::int64_t ts = 0;
    for (const auto& [seq, event] : events) {
      if (seq != expected) fail("a hole before " + at(room, seq));
      if (event.ts <= ts) fail("time does not grow at " + at(room, seq));
      expected = seq + 1;
      ts = event.ts;
    }
  }
  for (const auto& [author, known] : places_) {
    if (!known.acked) continue;
    const std::string name = name_of(author.first, author.second);
    const auto room = rooms_.find(known.room);
    if (room == rooms_.end() || !room->second.contains(known.seq)) {
      fail("lost: " + name + " was acknowledged at " + at(known.room, known.seq));
    }
  }
}

Seq History::head(const std::string& room) const {
  const auto found = rooms_.find(room);
  return found == rooms_.end() || found->second.empty() ? 0 : found->second.rbegin()->first;
}

}  // namespace rondo::sim
