// SPDX-License-Identifier: Apache-2.0
#include "rondo/base/limits.hpp"

namespace rondo::limits {
namespace {

constexpr Limit k_all[] = {
    resumes_per_iteration, ready_awaits_per_resume, next_in_a_row,      trace_events, stop_grace,
    drain_max,             report_wait,             shield_max,         blocking_threads,
    blocking_queue,        blocking_idle,           cpu_threads_max,    cpu_queue,
    ring_entries,
    buffer_count,          buffer_size,             unread_max,         unread_buffers_max,
    cork_block,            cork_max,                shared_copy_max,
    line_max,              accepted_max,            backlog,            linger_max,
    accept_refuse_after,   datagram_max,            datagram_loan,      datagram_batch_max,
    descriptors_max,       connect_attempt_delay,   resolution_delay,   dns_cache_max,
    dns_ttl_max,            dns_absent_ttl,         frame_max,
    proxy_header_max,      proxy_header_timeout,    zero_copy_min,      copy_block,
    splices_max,
    accept_pause,          http_head_max,           http_fields_max,    http_target_max,
    http_body_max,         http_pipeline_max,       http_drain_max,     http_drain_timeout,
    http_connections_max,  http_head_timeout,       http_body_timeout,  http_keep_alive,
    http_write_timeout,    ws_message_max,          ws_deflate_min,         ws_queue_max,       ws_ping_interval,
    ws_close_timeout,      ws_control_rate,         http_chunk_extensions_max,
    read_file_max,         file_buffer,             list_entries_max,   walk_depth_max,
    capture_max,           terminate_grace,         tls_handshake_timeout,
    watch_pair_wait,       tls_ticket_rotation,   tls_sessions_max,        tls_buffer_count,
    tls_buffer_size,       http_client_connections_max, http_client_per_origin_max,
    http_redirects_max,    http_retries_max,        http_retry_delay,   http_connect_timeout,
    http_answer_timeout,   http_answer_max,         http_packed_max,
    http_unpacked_max,      http_rate_clients_max,  http_parts_max,         http_part_head_max,
    http_cookies_max,       http_cookies_per_domain_max, http_cookie_field_max,
    http_packing_max,       http_form_pairs_max,    http_challenges_max,
    http2_streams_max,     http2_stream_window,     http2_connection_window,
    http2_continuations_max, http2_reset_rate,      http2_control_rate,
    http2_client_stream_window, http2_client_connection_window,
    http2_ping_timeout,    http_interims_max,       http_continue_timeout,
    http_client_waiting_max,
};

}  // namespace

std::span<const Limit> all() noexcept { return k_all; }

}  // namespace rondo::limits
