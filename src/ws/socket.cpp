// SPDX-License-Identifier: Apache-2.0
#include "rondo/ws/socket.hpp"

#include <memory>
#include <utility>

#include "ws/session.hpp"

namespace rondo::ws {

using detail::Opcode;
using detail::Session;

Socket::Socket(Owned<Session> session) noexcept : session_(std::move(session)) {}
Socket::Socket(Socket&&) noexcept = default;
Socket& Socket::operator=(Socket&&) noexcept = default;
Socket::~Socket() = default;

http::detail::Prompt<Result<Message>> Socket::receive() noexcept {
  return {session_.get(),
          [](void* self, std::optional<Result<Message>>& value) {
            Result<Message> message = Message{};
            if (!static_cast<Session*>(self)->pull(message)) return false;
            value.emplace(std::move(message));
            return true;
          },
          [](void* self, bool yield) { return static_cast<Session*>(self)->wait(yield); }};
}

Task<Result<>> Socket::send_text(std::string_view text) {
  return session_->send(Opcode::text, as_bytes(text));
}
Task<Result<>> Socket::send_binary(ByteView bytes) { return session_->send(Opcode::binary, bytes); }
Task<Result<>> Socket::send(const Message& message) {
  return session_->send(message.kind == Kind::text ? Opcode::text : Opcode::binary, message.bytes);
}

Result<> Socket::try_send(const SharedBytes& frame) noexcept { return session_->try_send(frame); }
std::size_t Socket::unsent() const noexcept { return session_->stream().unsent(); }

Task<Result<>> Socket::close(CloseCode code, std::string_view reason) {
  session_->start_close(code, reason);
  while (true) {
    auto rest = co_await receive();
    if (rest) continue;  // Messages on their way when we closed.
    if (rest.error() == Errc::closed || rest.error() == Errc::stopping) co_return {};
    co_return rest.error();
  }
}

void Socket::start_close(CloseCode code, std::string_view reason) noexcept {
  session_->start_close(code, reason);
}

bool Socket::is_open() const noexcept { return session_->is_open(); }
CloseCode Socket::close_code() const noexcept { return session_->code; }
std::string_view Socket::close_reason() const noexcept { return session_->reason; }
std::string_view Socket::protocol() const noexcept { return session_->protocol; }
Statistics Socket::statistics() const noexcept { return session_->statistics; }

}  // namespace rondo::ws
