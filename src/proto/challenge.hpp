// SPDX-License-Identifier: Apache-2.0
// Challenges: what a WWW-Authenticate field asks for (RFC 9110, section 11.6.1), such as
// `Negotiate, Digest realm="a", nonce="b", Basic realm="a"`. Commas separate both challenges and
// their parameters: a name with a `=` behind it is a parameter, one without begins a challenge.
// Lifetime: values. Thread rule: any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rondo::proto {

struct Challenge {
  std::string scheme;   ///< as it was sent: compare by iequals
  std::string token68;  ///< in place of parameters, as Negotiate has it
  std::vector<std::pair<std::string, std::string>> parameters;  ///< values without their quotes

  /// The value of the first parameter of that name in any case; null: there is none.
  const std::string* find(std::string_view name) const noexcept;
  std::string_view get(std::string_view name) const noexcept;
};

/// Those of one field, at most `max`. From where the field is broken on, nothing is taken: neither
/// the challenge in which that is, which may say otherwise what it was meant to.
std::vector<Challenge> parse_challenges(std::string_view field, std::size_t max);

}  // namespace rondo::proto
