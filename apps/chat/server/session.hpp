// SPDX-License-Identifier: Apache-2.0
// Session: one connection to the chat, whatever its door; and Subscription, its place in a room.
//
//   class LineSession : public JsonSession { ... push() writes to its stream ... };
//   co_await session.serve([&](...) ...);
//
// A session is told things in two ways. push() never waits: it refuses what would exceed the
// session's byte budget. What was refused is not lost: an event leaves its room *behind* for this
// session, and the pump, a task that runs only while there is something to catch up with, reads
// it from the log in pages when the peer takes bytes again; answers wait in a short queue. So a
// slow reader costs its budget and one page, and is never cut off.
//   room states: live -> behind (push refused, or resume/sync asked) -> live (resumed)
// Lifetime: made and destroyed by its door's task; registered in the Hub meanwhile.
// Thread rule: the loop's thread.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "chat/server/outbound.hpp"
#include "chat/server/store.hpp"
#include "rondo/core/event.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/core/task.hpp"

namespace rondo::chat {

class Hub;
class Session;
struct Room;
struct OnlineUser;

inline constexpr std::size_t k_budget = 262'144;  ///< bytes of events a session may have unsent
inline constexpr std::size_t k_answer_budget = k_budget + 65'536;  ///< with answers, bytes
inline constexpr std::size_t k_answers_max = 512;    ///< answers that wait for a slow peer
inline constexpr std::size_t k_page_bytes = 65'536;  ///< of a page that catches up
inline constexpr std::size_t k_rooms_per_session = 256;

struct Subscription {
  Session& session;
  Room& room;
  std::size_t index = 0;  ///< in room.members
  Seq sent = 0;           ///< the last event this session was given
  bool behind = false;
};

class Session {
 public:
  explicit Session(Hub& hub);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  virtual ~Session();

  std::uint64_t id() const noexcept { return id_; }
  Hub& hub() noexcept { return hub_; }
  OnlineUser* user() const noexcept { return user_; }
  const std::vector<std::unique_ptr<Subscription>>& subscriptions() const noexcept {
    return subscriptions_;
  }
  Subscription* in(const Room& room) noexcept;

  /// Says something now; false when more than `budget` bytes would wait (nothing was taken).
  virtual bool push(Outbound& out, std::size_t budget = k_budget) = 0;
  /// An answer: pushed, or queued until the peer takes it. Doors stop listening to a peer that
  /// does not take its answers (crowded()), so that k_answers_max is not reached; what exceeds it
  /// is dropped, and the client asks again.
  void answer(std::string json);
  /// An event of a room it is in.
  void deliver(Subscription& at, Outbound& out, Seq seq);
  /// Catches up with a room from the event after `after` on.
  void catch_up(Subscription& at, Seq after);

  /// The scope its pump runs in; set while the door serves it.
  void attach(Scope* scope) noexcept { scope_ = scope; }
  /// The peer can be told nothing more.
  void give_up() noexcept {
    given_up_ = true;
    calm_.set();
  }
  /// Answers wait that the peer does not take.
  bool crowded() const noexcept { return !given_up_ && answers_.size() >= k_answers_max / 2; }

 protected:
  friend Hub;
  /// Says something and waits while the peer is slow; false when the peer has gone.
  virtual Task<bool> push_slowly(Outbound& out) = 0;
  /// Events of a room as this door tells them when catching up.
  virtual std::vector<Outbound> page_of(const Room& room, const std::vector<Event>& events);
  /// The room is live again.
  virtual void caught_up(Subscription& at);
  /// More work of a pump: false when there is none.
  virtual Task<bool> pump_more();
  void wake_pump();
  /// Answers and pages still wait to be said.
  bool pumping() const noexcept { return pumping_ && !given_up_; }
  bool given_up() const noexcept { return given_up_; }
  /// Set when the session may have become less crowded, or has said everything.
  rondo::Event& calm() noexcept { return calm_; }

 private:
  Task<> pump();
  Task<bool> pump_answers();
  Task<bool> pump_room();

  Hub& hub_;
  std::uint64_t id_;
  OnlineUser* user_ = nullptr;
  Scope* scope_ = nullptr;
  std::vector<std::unique_ptr<Subscription>> subscriptions_;
  std::deque<Outbound> answers_;
  rondo::Event calm_;
  bool pumping_ = false;
  bool given_up_ = false;
};

}  // namespace rondo::chat
