// SPDX-License-Identifier: Apache-2.0
// Client: what `rondo join` knows: an outbox that outlives connections, a cursor, who we are.
//
//   Client client(options, {.show = print, .warn = complain});
//   co_await client.say("hello");        // into the outbox, with a cid made once
//   client.end_input();                  // run() returns when the outbox is empty
//   int status = co_await client.run();
//
// Lines are sent one at a time, in order, each until it is acknowledged or refused for good, with
// the same cid on every connection: the server stores each once.
// Lifetime: run() lives as long as the client. Thread rule: the loop's thread.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "chat/join/join.hpp"
#include "chat/join/link.hpp"
#include "rondo/base/move_fn.hpp"
#include "rondo/base/time.hpp"
#include "rondo/core/event.hpp"
#include "rondo/core/semaphore.hpp"

namespace boost::json {
class object;
}

namespace rondo::chat {

inline constexpr std::size_t k_outbox_max = 1'000;  ///< lines; say() waits beyond

class Client {
 public:
  struct Output {
    MoveFn<void(std::string_view line)> show;  ///< a line of the conversation
    MoveFn<void(std::string_view line)> warn;  ///< about the connection or a refused message
  };
  Client(JoinOptions options, Output output);

  /// Puts a line into the outbox; waits while it is full.
  Task<> say(std::string body);
  void end_input();
  /// Everything said was acknowledged or refused.
  bool settled() const noexcept { return outbox_.empty(); }

  /// Connects, and again after every loss, until input has ended and everything said is settled.
  /// Returns the exit status; 1 at once when the first connection fails.
  Task<int> run();

 private:
  struct Entry {
    std::string cid;
    std::string body;
    TimePoint not_before{};
    bool waiting = false;  ///< sent on this connection, not yet answered
  };
  bool done() const noexcept { return input_ended_ && outbox_.empty(); }
  Task<bool> session(Link& link);
  Task<> receive(Link& link);
  Task<> send(Link& link);
  void take(const boost::json::object& frame);
  void take_joined(const boost::json::object& frame);
  void greet(const boost::json::object& joined);
  void take_event(const boost::json::object& event);
  void take_answer(const boost::json::object& frame, bool stored);
  void settle_front();
  enum class Step : std::uint8_t { hello, welcome, resume, join, tail };
  std::string next_step(Step& step) const;
  std::string greeting() const;

  JoinOptions options_;
  Output output_;
  std::deque<Entry> outbox_;
  rondo::Event changed_;  ///< the outbox, or what may be done with it
  rondo::Event room_;     ///< the outbox has become shorter
  std::string token_;
  std::string user_;  ///< our id
  std::string name_;  ///< ours, as the server gave it
  std::string where_;  ///< host:port
  std::string epoch_;
  std::int64_t seen_ = -1;
  std::int64_t tail_ = -1;  ///< the last messages are asked for from here on; -1: not asked
  bool hello_ = false;
  bool joined_ = false;
  bool greeted_ = false;
  bool input_ended_ = false;
  bool fatal_ = false;
  int status_ = 0;
};

}  // namespace rondo::chat
