// SPDX-License-Identifier: Apache-2.0
// The doors: how a connection of each kind becomes a session of the Hub.
//
//   scope.start(run_lines_door, std::ref(hub), std::ref(listener));
//   router.get("/ws", ...serve_web_socket(hub, policy, request, response)...);
//
// Each ends after a soft stop, when all of its sessions have ended.
// Lifetime: hub and listeners outlive the tasks. Thread rule: the loop's thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "chat/server/hub.hpp"
#include "rondo/http/router.hpp"
#include "rondo/net/tcp.hpp"

namespace rondo::chat {

inline constexpr std::size_t k_connections_max = 20'000;  ///< of one door; more are closed at once

/// Which Host and Origin fields are ours (against DNS rebinding and foreign pages).
class HostPolicy {
 public:
  /// `listen` is the address listened on, `public_url` the one users type, or "".
  HostPolicy(std::string_view listen, std::string_view public_url);
  /// Addresses, localhost and the two names are ours; the port may differ behind a proxy.
  bool admits_host(std::string_view authority) const noexcept;
  /// The request's own host, or the public one; none at all is no browser.
  bool admits_origin(std::string_view origin, std::string_view authority) const noexcept;

 private:
  std::string listen_host_;
  std::string public_host_;
  std::string public_origin_;
};

/// JSON lines over TCP.
Task<> run_lines_door(Hub& hub, tcp::Listener& listener);

/// The classic protocol; everybody is in `room`.
Task<> run_classic_door(Hub& hub, tcp::Listener& listener, Room& room);

/// `/ws`: JSON in WebSocket text frames.
Task<> serve_web_socket(Hub& hub, const HostPolicy& policy, http::Request& request,
                        http::Response& response);

/// Standard input speaks as Server in `room`, until it ends.
Task<> run_console(Hub& hub, Room& room);

/// `/api/v1/...`, `/healthz`, `/readyz`, `/metrics`.
void add_api(http::Router& router, Hub& hub);

/// The web page and what it needs.
void add_pages(http::Router& router);

}  // namespace rondo::chat
