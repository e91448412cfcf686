// SPDX-License-Identifier: Apache-2.0
// Which fields may stand where, for server and client.
#pragma once

#include <string_view>

namespace rondo::http::detail {

/// Fields of a connection of HTTP/1.1, which a peer of HTTP/2 takes for a broken head (RFC 9113,
/// section 8.2.2). Handlers may set those of them that the server does not refuse as its own.
bool is_of_http1(std::string_view name) noexcept;
/// A value without the spaces at its ends, which break a head of HTTP/2 too (section 8.2.1).
std::string_view trimmed(std::string_view value) noexcept;
/// Legal, and nothing that decides how a message is framed or where it goes (RFC 9110, 6.5.1).
bool may_be_trailer(std::string_view name, std::string_view value) noexcept;

}  // namespace rondo::http::detail
