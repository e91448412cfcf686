// SPDX-License-Identifier: Apache-2.0
// One file of a run of `rondo fetch`, from the moment its URL was found.
// Lifetime: as long as the Loader. Thread rule: the loop's thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "fetch/page.hpp"
#include "rondo/base/time.hpp"
#include "rondo/http/client.hpp"

namespace rondo::fetch {

struct Item {
  enum class State : std::uint8_t { waiting, loading, done, kept, failed };

  std::string url;  ///< absolute, without a fragment
  Use use = Use::link;
  std::uint32_t links = 0;   ///< followed to get here
  std::uint32_t frames = 0;  ///< it lies in

  State state = State::waiting;
  std::string file;  ///< below the folder, once the answer's head is there
  std::string error;
  std::string note;  ///< of a file that is there, what its user should know
  int status = 0;
  std::string final_url;   ///< after redirects
  std::string type;        ///< Content-Type
  std::uint64_t size = 0;  ///< what is expected; 0: not told
  std::uint64_t received = 0;
  std::uint64_t resumed = 0;  ///< of it, lay there from a run before

  /// From the run's begin.
  Duration began = Duration::zero();
  Duration ended = Duration::zero();
  http::ClientTimings timings;
  bool http2 = false;  ///< spoken by who answered

  bool is_good() const noexcept { return state == State::done || state == State::kept; }
  bool is_over() const noexcept { return is_good() || state == State::failed; }
  bool is_page() const noexcept {
    return type.starts_with("text/html") || type.starts_with("application/xhtml+xml");
  }
  bool is_style() const noexcept {
    return type.starts_with("text/css") || (use == Use::style && type.empty());
  }
  /// Written again at the end, with other links in it.
  bool has_links() const noexcept { return is_page() || is_style(); }
};

}  // namespace rondo::fetch
