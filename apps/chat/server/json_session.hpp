// SPDX-License-Identifier: Apache-2.0
// JsonSession: the dialogue of the JSON doors (WebSocket, lines), without their transport.
//
//   session.greet();                                  // hello
//   while (auto text = ...) { if (!co_await session.receive(*text)) break; }
//
// receive() ends with false when the peer has sent too many bad frames: the door closes with 1008.
// Order: frames are taken one by one; answers to `history` and catching up run beside, in the
// pump, so that a slow peer can still be heard.
// Thread rule: the loop's thread.
#pragma once

#include <deque>
#include <string>
#include <string_view>

#include "chat/server/hub.hpp"
#include "chat/server/session.hpp"

namespace rondo::chat {

inline constexpr int k_bad_frames_max = 10;
inline constexpr std::size_t k_history_waiting_max = 16;
/// Messages of a session that are being stored; the next frame waits beyond.
inline constexpr std::size_t k_sending_max = 128;

class JsonSession : public Session {
 public:
  using Session::Session;

  void greet();
  /// Does what one frame asks; false: close with `policy`.
  Task<bool> receive(std::string_view text);
  /// Waits until everything that was received has its answer, or nobody can be told any more, and
  /// leaves the rooms. For a peer that says nothing more.
  Task<> settle();

 protected:
  Task<bool> pump_more() override;

 private:
  struct History {
    RoomId room = 0;
    Seq before = 0;
    std::int64_t limit = 0;
  };
  bool refuse(std::string_view code, std::string_view detail, std::string_view room = {});
  Task<> act(ClientFrame& frame);
  Task<> on_auth(ClientFrame& frame);
  Task<> on_join(ClientFrame& frame);
  Task<> welcome(Account account, std::string token);
  void on_send(ClientFrame& frame);
  void sent(const Append& what, const Result<Appended>& where);
  void on_resume(const ClientFrame& frame);
  void on_sync(const ClientFrame& frame);
  void on_history(const ClientFrame& frame);
  void replay(Room& room, Seq after);
  /// The room of the frame, when it exists and this session is in it; else refuses.
  Room* joined_room(const ClientFrame& frame);
  std::string members_of(const Room& room) const;

  std::deque<History> histories_;
  TimePoint typed_at_{};
  std::size_t sending_ = 0;
  int bad_frames_ = 0;
};

}  // namespace rondo::chat
