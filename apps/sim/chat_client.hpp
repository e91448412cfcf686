// SPDX-License-Identifier: Apache-2.0
// ChatClient: somebody in a simulated chat who keeps the protocol's client rules.
//
//   ChatClient ada(1, plan, history);
//   world.host("client1", "10.0.1.1").start([&ada] { return ada.run(); });
//   ada.rest();                              // phase two: finishes what it has begun
//   bool good = ada.is_settled();
//
// It lives outside of its host, as a browser's stored outbox and cursors do: a crash of the host
// ends its connection, and the next one resumes. Rules: seq <= last is dropped, prev == last is
// applied, else sync; what was not answered is said again with the same cid.
// Lifetime: outlives its world. Thread rule: one thread.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "rondo/core/loop.hpp"
#include "rondo/core/task.hpp"
#include "rondo/net/tcp.hpp"
#include "sim/chat_history.hpp"

namespace boost::json {
class object;
}

namespace rondo::sim {

struct ClientPlan {
  std::uint64_t seed = 0;
  std::string name;
  std::vector<std::string> rooms;
  Duration pause_max = std::chrono::seconds(6);  ///< between two things it does
  Duration nap_max{};  ///< a slow reader sleeps up to this; 0: is not slow
  std::size_t body_max = 200;
  bool speaks = true;
  bool disk_fails = false;  ///< the server may have to refuse anything
};

class ChatClient {
 public:
  ChatClient(int index, ClientPlan plan, History& history);
  ChatClient(const ChatClient&) = delete;

  /// Connects, again and again, until it is cancelled.
  Task<> run();
  /// Wants all of every room, from its first event on; before it runs.
  void read_from_start();
  /// From now on it reads at once and does nothing new but to say farewell, twice: the second time
  /// as soon as the first is acknowledged, when the server has nothing else to do.
  void rest() noexcept { resting_ = true; }
  /// Signed in, with an empty outbox, and in no room behind.
  bool is_settled() const;
  std::string describe() const;
  /// The last event it applied in a room it is in; -1 when it is not.
  Seq last(const std::string& room) const;
  std::uint64_t connections() const noexcept { return connections_; }

 private:
  struct View {
    Seq last = -1;  ///< -1: never told where the room stands
    bool joined = false;
    bool syncing = false;
    bool from_start = false;
  };
  struct Entry {
    std::string room;
    std::string cid;
    std::string body;
    TimePoint not_before{};
    TimePoint sent_at{};
    bool waiting = false;  ///< said on this connection, not yet answered
  };

  Task<> session(tcp::Stream& peer);
  Task<> listen(tcp::Stream& peer);
  Task<> live();
  void act();
  void speak();
  void say_farewell();
  void repeat_something();
  void ask_something(const std::string& room, View& view);
  void send_due();
  void say(const Entry& entry);
  void tell(std::string json);
  void sync(const std::string& room, View& view);
  void enter_rooms();

  void take_line(std::string_view line);
  void take(const boost::json::object& frame);
  void on_hello(const boost::json::object& frame);
  void on_welcome(const boost::json::object& frame);
  void on_joined(const boost::json::object& frame);
  void on_error(const boost::json::object& frame);
  void on_event(const boost::json::object& frame);
  void on_page(const boost::json::object& frame);
  void on_resumed(const boost::json::object& frame);
  void on_ack(const boost::json::object& frame);
  void on_nack(const boost::json::object& frame);
  void fail(const std::string& what) const;
  Entry* find_entry(const std::string& cid);

  const int index_;
  const ClientPlan plan_;
  History& history_;
  Dice dice_;
  std::string token_;
  std::string user_;
  std::string epoch_;
  std::map<std::string, View> views_;
  std::vector<Entry> outbox_;
  std::vector<Entry> settled_;  ///< some of what was acknowledged, to be repeated
  std::uint64_t next_cid_ = 1;
  std::uint64_t connections_ = 0;
  bool resting_ = false;
  int farewells_left_ = 2;
  TimePoint rests_since_ = TimePoint::max();
  // Of the connection:
  tcp::Stream* peer_ = nullptr;
  bool signed_in_ = false;
  bool hang_up_ = false;
};

}  // namespace rondo::sim
