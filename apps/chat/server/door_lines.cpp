// SPDX-License-Identifier: Apache-2.0
// The JSON lines door, and the accept loop that both TCP doors share.
#include "chat/server/doors.hpp"

#include "chat/server/door_tcp.hpp"
#include "chat/server/json_session.hpp"
#include "rondo/core/cancel.hpp"

namespace rondo::chat {

namespace {

constexpr Duration k_sign_in_timeout = std::chrono::seconds(60);

class LineSession final : public JsonSession {
 public:
  LineSession(Hub& hub, tcp::Stream& stream) : JsonSession(hub), stream_(stream) {}

  bool push(Outbound& out, std::size_t budget) override {
    return push_bytes(*this, stream_, out.line(), budget);
  }

 protected:
  Task<bool> push_slowly(Outbound& out) override {
    co_return co_await push_bytes_slowly(*this, stream_, out.line());
  }

 private:
  tcp::Stream& stream_;
};

Task<bool> take_line(LineSession& session, tcp::Stream& stream) {
  const Duration patience = session.user() ? Duration::max() : k_sign_in_timeout;
  auto line = co_await with_timeout(patience, stream.read_line());
  if (!line) {
    if (line.error() == Errc::too_large)
      session.answer(encode_error("too_large", "a line has at most 65536 bytes"));
    co_return false;
  }
  // A last line without its end was torn by the connection: it is not the client's whole word.
  if (!line->text().ends_with('\n')) {
    // The peer may have closed its side only: what it said is answered before ours is closed.
    co_await session.settle();
    (void)co_await stream.flush();
    co_return false;
  }
  const std::string_view text = chomp(line->text());
  if (text.empty()) co_return true;
  co_return co_await session.receive(text);
}

Task<> serve_line_session(Hub& hub, tcp::Stream stream) {
  LineSession session(hub, stream);
  co_await with_scope([&](Scope& scope) -> Task<> {
    session.attach(&scope);
    session.greet();
    while (co_await take_line(session, stream)) {
    }
    session.attach(nullptr);
    scope.cancel();
  });
}

}  // namespace

bool push_bytes(Session& session, tcp::Stream& stream, const SharedBytes& bytes,
                std::size_t budget) {
  auto queued = stream.try_write(bytes, budget);
  if (queued) return true;
  if (queued.error() == Errc::would_exceed) return false;
  session.give_up();  // Nobody will read what is refused now.
  return true;
}

Task<bool> push_bytes_slowly(Session& session, tcp::Stream& stream, const SharedBytes& bytes) {
  while (!push_bytes(session, stream, bytes, k_answer_budget)) {
    if (!co_await stream.flush()) co_return false;
  }
  co_return true;
}

Task<> run_lines_door(Hub& hub, tcp::Listener& listener) {
  co_await accept_sessions(listener, [&hub](Scope& scope, tcp::Stream stream) {
    scope.start(Named{"lines"}, serve_line_session, std::ref(hub), std::move(stream));
  });
}

}  // namespace rondo::chat
