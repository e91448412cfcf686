// SPDX-License-Identifier: Apache-2.0
#include "http1_llhttp.hpp"

#include "rondo/proto/http1.hpp"

namespace rondo::proto {
namespace {

Heard& heard_of(llhttp_t* state) noexcept { return *static_cast<Heard*>(state->data); }

template <std::string_view Heard::* Part>
int keep(llhttp_t* state, const char* at, std::size_t size) {
  // An empty value is reported once more with the line after it, for which it means nothing.
  if (size > 0) heard_of(state).*Part = {at, size};
  return HPE_OK;
}

int pause_when_complete(llhttp_t* state) {
  // What follows a head is ours to decide; llhttp would stop at another protocol by itself, also
  // where Upgrade was only offered.
  state->upgrade = 0;
  heard_of(state).complete = true;
  return HPE_PAUSED;
}

int begin_chunk(llhttp_t* state) {
  heard_of(state).chunk_begins = true;
  return HPE_OK;
}

constexpr llhttp_settings_t k_settings = [] {
  llhttp_settings_t settings{};
  settings.on_url = keep<&Heard::target>;
  settings.on_version = keep<&Heard::version>;
  settings.on_status = keep<&Heard::reason>;
  settings.on_header_field = keep<&Heard::name>;
  settings.on_header_value = keep<&Heard::value>;
  settings.on_body = keep<&Heard::body>;
  settings.on_headers_complete = pause_when_complete;
  settings.on_message_complete = pause_when_complete;
  settings.on_chunk_header = begin_chunk;
  return settings;
}();

}  // namespace

void Llhttp::begin(std::byte* memory, llhttp_type_t type) noexcept {
  static_assert(sizeof(llhttp_t) <= k_llhttp_size && alignof(llhttp_t) <= 8);
  llhttp_t* const state = new (memory) llhttp_t;
  llhttp_init(state, type, &k_settings);
  state->lenient_flags = LENIENT_VERSION;
}

bool Llhttp::feed(std::string_view bytes, Heard& heard) noexcept {
  state_.data = &heard;
  const llhttp_errno_t error = llhttp_execute(&state_, bytes.data(), bytes.size());
  return error == HPE_OK || (error == HPE_PAUSED && heard.complete);
}

}  // namespace rondo::proto
