// SPDX-License-Identifier: Apache-2.0
#include "rondo/base/limits.hpp"

namespace rondo::limits {
namespace {

constexpr Limit k_all[] = {
    resumes_per_iteration, ready_awaits_per_resume, stop_grace,         drain_max,
    shield_max,            blocking_threads,        blocking_queue,     ring_entries,
    buffer_count,          buffer_size,             unread_max,         unread_buffers_max,
    loans_max,             cork_block,              cork_max,           shared_copy_max,
    line_max,              accepted_max,            backlog,            linger_max,
    accept_pause,          http_head_max,           http_fields_max,    http_target_max,
    http_body_max,         http_pipeline_max,       http_drain_max,     http_drain_timeout,
    http_connections_max,  http_head_timeout,       http_body_timeout,  http_keep_alive,
    http_write_timeout,    ws_message_max,          ws_queue_max,       ws_ping_interval,
    ws_close_timeout,      ws_control_rate,         http_chunk_extensions_max,
};

}  // namespace

std::span<const Limit> all() noexcept { return k_all; }

}  // namespace rondo::limits
