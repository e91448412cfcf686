// SPDX-License-Identifier: Apache-2.0
#include "tls/context.hpp"

#include <algorithm>
#include <utility>

namespace rondo::tls {
namespace detail {

Result<std::string> alpn_wire(const std::vector<std::string>& names) {
  std::string wire;
  for (const std::string& name : names) {
    if (name.empty() || name.size() > 255)
      return Error(Errc::invalid_argument, "tls", "an ALPN name has 1..255 bytes");
    wire.push_back(static_cast<char>(name.size()));
    wire.append(name);
  }
  return wire;
}

void SessionCache::put(std::string_view peer, SslSession session) {
  if (max_ == 0) return;
  const std::scoped_lock lock(mutex_);
  std::erase_if(entries_, [&](const Entry& each) { return each.peer == peer; });
  entries_.push_front({std::string(peer), std::move(session)});
  if (entries_.size() > max_) entries_.pop_back();
}

SslSession SessionCache::take(std::string_view peer) {
  const std::scoped_lock lock(mutex_);
  const auto found =
      std::ranges::find_if(entries_, [&](const Entry& each) { return each.peer == peer; });
  if (found == entries_.end()) return nullptr;
  SslSession session = std::move(found->session);
  entries_.erase(found);
  return session;
}

ContextState::ContextState(ServerOptions server)
    : options(std::move(server)),
      tickets(std::get<ServerOptions>(options).ticket_rotation),
      sessions(0) {}

ContextState::ContextState(ClientOptions client)
    : options(std::move(client)),
      tickets(Duration::zero()),
      sessions(std::get<ClientOptions>(options).sessions_max) {}

const std::vector<std::string>& ContextState::alpn() const noexcept {
  return std::visit([](const auto& each) -> const std::vector<std::string>& { return each.alpn; },
                    options);
}

Result<> ContextState::load() {
  auto made = is_server() ? load_server(std::get<ServerOptions>(options))
                          : load_client(std::get<ClientOptions>(options));
  if (!made) return made.error();
  const std::scoped_lock lock(mutex);
  if (current) reloads.fetch_add(1, std::memory_order_relaxed);
  current = std::move(*made);
  return {};
}

void ContextState::drop() noexcept {
  // Release our writes before, acquire everybody's before it goes.
  if (refs.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
}

}  // namespace detail

namespace {

Result<> check(const ServerOptions& options) {
  if (options.identities.empty()) {
    return Error(Errc::invalid_argument, "tls", "a server needs a certificate and its key");
  }
  const bool asks = options.client_certificate != ClientCertificate::none;
  if (asks && options.authorities_file.empty()) {
    return Error(Errc::invalid_argument, "tls",
                 "client certificates need authorities_file: who may sign them");
  }
  return {};
}

}  // namespace

Result<Context> Context::server(ServerOptions options) {
  if (auto good = check(options); !good) return good.error();
  if (auto good = detail::alpn_wire(options.alpn); !good) return good.error();
  Context made(*new detail::ContextState(std::move(options)));
  if (auto loaded = made.state_->load(); !loaded) return loaded.error();
  return made;
}

Result<Context> Context::client(ClientOptions options) {
  if (auto good = detail::alpn_wire(options.alpn); !good) return good.error();
  Context made(*new detail::ContextState(std::move(options)));
  if (auto loaded = made.state_->load(); !loaded) return loaded.error();
  return made;
}

Context::Context(const Context& other) noexcept : state_(other.state_) {
  if (state_) state_->add_ref();
}

Context::~Context() {
  if (state_) state_->drop();
}

Result<> Context::reload() { return state_->load(); }

ContextStatistics Context::statistics() const noexcept {
  // Relaxed: each number by itself.
  const auto read = [](const std::atomic<std::uint64_t>& from) {
    return from.load(std::memory_order_relaxed);
  };
  return {.handshakes = read(state_->handshakes),
          .failed = read(state_->failed),
          .resumed = read(state_->resumed),
          .reloads = read(state_->reloads)};
}

}  // namespace rondo::tls
