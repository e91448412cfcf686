// SPDX-License-Identifier: Apache-2.0
#include "tls/service.hpp"

#include "tls/secure_stream.hpp"

namespace rondo::tls::detail {

TlsService::TlsService(Loop& loop)
    : loop_(loop),
      pool_(static_cast<std::uint32_t>(limits::tls_buffer_count.value),
            static_cast<std::uint32_t>(limits::tls_buffer_size.value)) {
  hook_.service = this;
  hook_.run = [](rondo::detail::LoopHook& hook) {
    static_cast<PrepareHook&>(hook).service->prepare();
  };
  // Before the transports': what is encrypted here leaves in the same iteration.
  loop_.add_prepare_hook(hook_, Loop::HookPlace::first);
}

TlsService::~TlsService() { hook_.unlink(); }

void TlsService::prepare() noexcept {
  // Also who becomes dirty meanwhile, as what stands below another TLS stream does: the loop may
  // sleep after this. Each takes in one writer at most, so that it ends.
  while (SecureStream* stream = dirty.pop_front()) stream->flush_records();
  for (std::uint32_t free = pool_.free_count(); free > 0; --free) {
    SecureStream* stream = starved.pop_front();
    if (!stream) break;
    stream->feed();
  }
}

}  // namespace rondo::tls::detail
