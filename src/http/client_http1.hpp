// SPDX-License-Identifier: Apache-2.0
// A request of HTTP/1.1 and its answer on a connection of their own.
#pragma once

#include "http/client.hpp"

namespace rondo::http::detail {

struct Http1Carrier final : ClientCarrier {
  Http1Carrier(ClientExchange& exchange, Owned<ClientConnection> with)
      : ex(exchange), connection(std::move(with)) {}
  ~Http1Carrier() override;

  Task<Result<>> exchange(const Outgoing& out) override;
  const proto::ResponseHead& head() const noexcept override { return connection->parser.head(); }
  const proto::FieldList& trailers() const noexcept override {
    return connection->parser.trailers();
  }
  bool pull(Result<ByteView>& piece) override;
  Task<Result<>> wait_more() override;
  Fate fate() const noexcept override { return any_received ? Fate::unknown : Fate::unheard; }
  void end() noexcept override;
  ByteStream& upgraded() override { return connection->stream(); }
  Loan take_rest(ByteView& rest) noexcept override;

  Task<Result<>> write(const Outgoing& out);
  Task<Result<>> write_whole(std::string_view body);
  Task<Result<>> write_source(const Outgoing& out);
  Task<Result<>> write_trailers(const Outgoing& out);
  Task<Result<>> put(std::string_view bytes);
  Task<Result<>> read_head();

  ClientExchange& ex;
  Owned<ClientConnection> connection;
  Event may_send_body;  ///< the server has said 100
  std::size_t interims = 0;
  bool any_received = false;  ///< at least a byte of an answer: nothing is repeated after it
  bool own_failure = false;   ///< the source of the body has failed, not the connection
  bool sent_all = false;
  bool at_end = false;  ///< of the answer
};

}  // namespace rondo::http::detail
