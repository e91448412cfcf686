// SPDX-License-Identifier: Apache-2.0
// History: what was said, acknowledged and seen in a simulated chat, and the rules it must keep.
//
//   history.said("u7", {.room = "lobby", .cid = "c1", .body = "hi"});
//   history.acked("u7", ack);   history.saw(event);                  // checked as they come
//   history.finish();                                                // and together at the end
//
// Rules: no acknowledged message lost, none stored twice, one dense order a room with growing
// times and right `prev` links, the same for everybody who sees it, a cid acknowledged always with
// the same place, and nothing that nobody said.
// Thread rule: one thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "sim/scenario.hpp"

namespace rondo::sim {

using Seq = std::int64_t;

/// An event as somebody was told it.
struct SeenEvent {
  std::string room;
  Seq seq = 0;
  Seq prev = 0;
  std::string user;
  std::string cid;
  std::int64_t ts = 0;
  std::string body;
};

struct SeenAck {
  std::string cid;
  std::string room;
  Seq seq = 0;
  std::int64_t ts = 0;
  bool dup = false;
};

class History {
 public:
  explicit History(Outcome& outcome) noexcept : outcome_(outcome) {}

  struct Words {
    std::string room;
    std::string body;
  };
  /// `user` is about to say this for the first time.
  void said(const std::string& user, const std::string& cid, Words words);
  void acked(const std::string& user, const SeenAck& ack);
  void saw(const SeenEvent& event);
  /// After everybody has seen everything.
  void finish();
  void fail(std::string what) { outcome_.fail(std::move(what)); }

  /// The last event of a room that anybody saw.
  Seq head(const std::string& room) const;
  std::uint64_t events() const noexcept { return events_; }
  std::uint64_t acks() const noexcept { return acks_; }
  std::uint64_t repeats() const noexcept { return repeats_; }
  std::uint64_t digest() const noexcept { return digest_; }

 private:
  using Author = std::pair<std::string, std::string>;  ///< user, cid
  struct Place {
    std::string room;
    Seq seq = 0;
    std::int64_t ts = 0;
    bool fresh_ack = false;  ///< acknowledged once as not stored before
    bool acked = false;
  };
  Place* place(const Author& author, const std::string& room, Seq seq);
  void note(std::uint64_t word) noexcept;

  Outcome& outcome_;
  std::map<Author, Words> said_;
  std::map<Author, Place> places_;
  std::map<std::string, std::map<Seq, SeenEvent>> rooms_;
  std::uint64_t events_ = 0;
  std::uint64_t acks_ = 0;
  std::uint64_t repeats_ = 0;
  std::uint64_t digest_ = 0xcbf29ce484222325ULL;
};

}  // namespace rondo::sim
