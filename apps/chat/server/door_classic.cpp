// SPDX-License-Identifier: Apache-2.0
// The classic door: a name, then messages; everybody else gets a name frame and a message frame.
#include "chat/server/classic_codec.hpp"
#include "chat/server/door_tcp.hpp"
#include "chat/server/doors.hpp"
#include "chat/server/random.hpp"
#include "chat/server/text.hpp"
#include "rondo/core/cancel.hpp"
#include "rondo/core/sleep.hpp"

namespace rondo::chat {

namespace {

constexpr Duration k_name_timeout = std::chrono::seconds(60);

class ClassicSession final : public Session {
 public:
  ClassicSession(Hub& hub, tcp::Stream& stream) : Session(hub), stream_(stream) {}

  bool push(Outbound& out, std::size_t budget) override {
    return concerns_me(out) ? push_bytes(*this, stream_, out.classic(), budget) : true;
  }
  /// Words of the server to this client alone.
  void tell(std::string_view text) {
    Outbound out{std::string()};
    (void)push(out.set_classic("Server", text, k_server_user), k_answer_budget);
  }

 protected:
  Task<bool> push_slowly(Outbound& out) override {
    if (!concerns_me(out)) co_return true;
    co_return co_await push_bytes_slowly(*this, stream_, out.classic());
  }
  std::vector<Outbound> page_of(const Room&, const std::vector<Event>& events) override {
    std::vector<Outbound> page;
    for (const Event& event : events) {
      page.emplace_back(std::string());
      page.back().set_classic(title_case(event.from.name), event.body, event.from.id);
    }
    return page;
  }
  void caught_up(Subscription&) override {}

 private:
  bool concerns_me(const Outbound& out) const noexcept {
    return out.has_classic() && !(user() && out.about() == user()->user().id);
  }
  tcp::Stream& stream_;
};

/// The next frame; nothing at the end of the stream or after a frame that is none.
Task<std::optional<std::string>> next_frame(tcp::Stream& stream, ClassicReader& reader) {
  for (;;) {
    auto frame = reader.next();
    if (!frame) co_return std::nullopt;
    if (*frame) co_return std::move(**frame);
    auto got = co_await stream.read();
    if (!got || got->empty()) co_return std::nullopt;
    reader.feed(got->text());
  }
}

Task<> say(ClassicSession& session, Room& room, std::string body) {
  if (!is_body(body)) co_return;
  const User user = session.user()->user();
  // No answer exists that could refuse: who is too fast is read more slowly.
  for (;;) {
    const Duration wait = session.hub().may_send(user.id);
    if (wait <= Duration::zero()) break;
    co_await sleep_for(wait);
  }
  session.hub().send(
      {room.id, user, random_hex(16), std::move(body)},
      [hub = &session.hub(), id = session.id()](const Append&, const Result<Appended>& where) {
        if (where) return;
        if (auto* told = dynamic_cast<ClassicSession*>(hub->find_session(id))) {
          told->tell("Your message was not stored. Send it again.");
        }
      });
}

Task<> converse(ClassicSession& session, tcp::Stream& stream, Room& room) {
  ClassicReader reader;
  auto name = co_await with_timeout(k_name_timeout, next_frame(stream, reader));
  if (!name || !*name) co_return;
  auto account = co_await session.hub().make_classic(std::move(**name));
  if (!account) {
    session.tell(account.error() == Errc::bad_message ? account.error().object()
                                                      : "Try again later.");
    co_return;
  }
  session.hub().sign_in(session, *account, {});
  session.hub().join(session, room);
  while (auto text = co_await next_frame(stream, reader)) {
    co_await say(session, room, std::move(*text));
  }
}

Task<> serve_classic_session(Hub& hub, tcp::Stream stream, Room& room) {
  ClassicSession session(hub, stream);
  co_await with_scope([&](Scope& scope) -> Task<> {
    session.attach(&scope);
    co_await converse(session, stream, room);
    session.attach(nullptr);
    scope.cancel();
  });
}

}  // namespace

Task<> run_classic_door(Hub& hub, tcp::Listener& listener, Room& room) {
  co_await accept_sessions(listener, [&](Scope& scope, tcp::Stream stream) {
    scope.start(Named{"classic"}, serve_classic_session, std::ref(hub), std::move(stream),
                std::ref(room));
  });
}

}  // namespace rondo::chat
