// SPDX-License-Identifier: Apache-2.0
// Limits: every bound of the library, by name, with its default, unit and what happens there.
//
//   limits::cork_max.value      // 65536
//   for (const Limit& limit : limits::all()) print(limit.name, limit.value, limit.unit);
//
// Nothing in Rondo grows without one of these. Where an options struct has a field of the same
// name, the field overrides the default. docs/reference/limits.md is drawn from this table.
// Thread rule: constants.
#pragma once

#include "rondo/base/compiler.hpp"

#include <cstdint>
#include <span>
#include <string_view>

namespace rondo {

/// What happens at a limit.
enum class AtLimit : unsigned char { wait, reject, drop, close, copy, report };

struct Limit {
  std::string_view name;
  std::uint64_t value;
  std::string_view unit;
  AtLimit at;
  std::string_view meaning;
};

namespace limits {

// The loop.
inline constexpr Limit resumes_per_iteration{
    "resumes_per_iteration", 128, "resumes", AtLimit::wait,
    "ready entries run before the loop looks at the kernel again"};
inline constexpr Limit ready_awaits_per_resume{
    "ready_awaits_per_resume", 128, "awaits", AtLimit::wait,
    "awaits that were ready at once before the task goes to the end of the queue"};
inline constexpr Limit next_in_a_row{
    "next_in_a_row", 3, "resumes", AtLimit::wait,
    "resumes through the next slot before the ready queue has its turn"};
inline constexpr Limit trace_events{"trace_events", 65'536, "events", AtLimit::drop,
                                    "of a loop that is recorded: the oldest are forgotten"};
inline constexpr Limit stop_grace{"stop_grace", 5'000, "ms", AtLimit::close,
                                  "a soft stop becomes a hard cancel"};
inline constexpr Limit drain_max{"drain_max", 5'000, "ms", AtLimit::report,
                                 "time tasks have to unwind after a hard cancel"};
inline constexpr Limit report_wait{"report_wait", 200, "ms", AtLimit::report,
                                   "a loop of several must say what still runs on it"};
inline constexpr Limit shield_max{"shield_max", 5'000, "ms", AtLimit::close,
                                  "a shield or clean-up that was asked to stop is cancelled"};
inline constexpr Limit blocking_threads{"blocking_threads", 16, "threads", AtLimit::wait,
                                        "threads of run_blocking per loop"};
inline constexpr Limit blocking_queue{"blocking_queue", 1'024, "jobs", AtLimit::reject,
                                      "run_blocking jobs that wait for a thread"};
inline constexpr Limit blocking_idle{"blocking_idle", 10'000, "ms", AtLimit::close,
                                     "a blocking thread without work ends"};
inline constexpr Limit cpu_threads_max{"cpu_threads_max", 256, "threads", AtLimit::wait,
                                       "threads of run_cpu per process, else one per usable CPU"};
inline constexpr Limit cpu_queue{"cpu_queue", 1'024, "jobs", AtLimit::reject,
                                 "run_cpu jobs of one loop that wait for a thread"};

// Drivers and streams.
inline constexpr Limit ring_entries{"ring_entries", 256, "entries", AtLimit::wait,
                                    "submission entries of one ring"};
inline constexpr Limit buffer_count{"buffer_count", 4'096, "buffers", AtLimit::wait,
                                    "receive buffers shared by a loop's streams"};
inline constexpr Limit buffer_size{"buffer_size", 4'096, "bytes", AtLimit::wait,
                                   "bytes of one receive buffer"};
inline constexpr Limit unread_max{"unread_max", 65'536, "bytes", AtLimit::wait,
                                  "received bytes one stream holds before it stops receiving"};
inline constexpr Limit unread_buffers_max{"unread_buffers_max", 16, "buffers", AtLimit::wait,
                                          "buffers one stream holds before it stops receiving"};
inline constexpr Limit cork_block{"cork_block", 4'096, "bytes", AtLimit::copy,
                                  "a write up to this size is copied and ready at once"};
inline constexpr Limit cork_max{"cork_max", 65'536, "bytes", AtLimit::wait,
                                "accepted output of one stream; writers wait until half is sent"};
inline constexpr Limit shared_copy_max{"shared_copy_max", 512, "bytes", AtLimit::copy,
                                       "shared messages up to this size are copied, else "
                                       "referenced"};
inline constexpr Limit line_max{"line_max", 65'536, "bytes", AtLimit::reject,
                                "bytes read_line looks through for the end of a line"};
inline constexpr Limit accepted_max{"accepted_max", 64, "connections", AtLimit::wait,
                                    "accepted connections that no task has taken yet"};
inline constexpr Limit backlog{"backlog", 4'096, "connections", AtLimit::reject,
                               "connections the kernel holds for a listener"};
inline constexpr Limit linger_max{"linger_max", 5'000, "ms", AtLimit::drop,
                                  "time accepted output has to leave after its stream is gone"};
inline constexpr Limit accept_pause{"accept_pause", 100, "ms", AtLimit::wait,
                                    "accepting pauses after the process ran out of descriptors"};
inline constexpr Limit accept_refuse_after{
    "accept_refuse_after", 2'000, "ms", AtLimit::close,
    "out of descriptors that long, connections that wait are refused by a reserved one"};

// Sockets beside streams.
inline constexpr Limit datagram_max{"datagram_max", 65'507, "bytes", AtLimit::reject,
                                    "payload of one UDP datagram over IPv4"};
inline constexpr Limit datagram_loan{"datagram_loan", 2'048, "bytes", AtLimit::report,
                                     "bytes kept of a datagram received without a buffer"};
inline constexpr Limit datagram_batch_max{"datagram_batch_max", 64, "datagrams", AtLimit::reject,
                                          "datagrams of one receive_batch"};
inline constexpr Limit descriptors_max{"descriptors_max", 16, "descriptors", AtLimit::reject,
                                       "descriptors that travel with one message"};
inline constexpr Limit connect_attempt_delay{
    "connect_attempt_delay", 250, "ms", AtLimit::wait,
    "an address has that long before the next one is tried beside it"};
inline constexpr Limit resolution_delay{"resolution_delay", 50, "ms", AtLimit::wait,
                                        "IPv4 addresses wait that long for the IPv6 ones"};
inline constexpr Limit dns_cache_max{"dns_cache_max", 1'000, "names", AtLimit::drop,
                                     "names kept resolved: the one asked longest ago goes"};
inline constexpr Limit dns_ttl_max{"dns_ttl_max", 86'400, "s", AtLimit::drop,
                                   "a resolved name is kept, however long it may be"};
inline constexpr Limit dns_absent_ttl{"dns_absent_ttl", 5, "s", AtLimit::drop,
                                      "it is kept that there is no such name"};
inline constexpr Limit frame_max{"frame_max", 1'048'576, "bytes", AtLimit::reject,
                                 "payload of one frame of a framed stream"};
inline constexpr Limit proxy_header_max{"proxy_header_max", 4'096, "bytes", AtLimit::reject,
                                        "a PROXY protocol header with its extensions"};
inline constexpr Limit proxy_header_timeout{"proxy_header_timeout", 5'000, "ms", AtLimit::close,
                                            "a PROXY protocol header must be complete"};
inline constexpr Limit zero_copy_min{"zero_copy_min", 32'768, "bytes", AtLimit::copy,
                                     "smaller writes of a zero-copy stream are copied"};
inline constexpr Limit splices_max{"splices_max", 64, "transfers", AtLimit::copy,
                                   "send_file that occupy a thread of the kernel on a ring"};
inline constexpr Limit copy_block{"copy_block", 65'536, "bytes", AtLimit::wait,
                                  "bytes that send_file reads at once where it has to copy"};

// Files.
inline constexpr Limit read_file_max{"read_file_max", 67'108'864, "bytes", AtLimit::reject,
                                     "a file read whole into memory"};
inline constexpr Limit file_buffer{"file_buffer", 65'536, "bytes", AtLimit::wait,
                                   "bytes a BufferedFile reads ahead or holds back"};
inline constexpr Limit list_entries_max{"list_entries_max", 1'048'576, "entries", AtLimit::reject,
                                        "entries of one directory listed at once"};
inline constexpr Limit walk_depth_max{"walk_depth_max", 256, "directories", AtLimit::reject,
                                      "nested directories that walk and remove_tree enter"};

inline constexpr Limit watch_pair_wait{"watch_pair_wait", 20, "ms", AtLimit::report,
                                       "the second half of a rename seen by a Watcher"};

// Processes.
inline constexpr Limit capture_max{"capture_max", 16'777'216, "bytes", AtLimit::close,
                                   "output of a captured program; more kills it"};
inline constexpr Limit terminate_grace{"terminate_grace", 5'000, "ms", AtLimit::close,
                                       "a program that was asked to end is killed"};

// TLS.
inline constexpr Limit tls_handshake_timeout{"tls_handshake_timeout", 10'000, "ms", AtLimit::close,
                                             "a TLS handshake must be complete"};
inline constexpr Limit tls_ticket_rotation{"tls_ticket_rotation", 28'800'000, "ms", AtLimit::drop,
                                           "the key that seals a server's TLS tickets is replaced"};
inline constexpr Limit tls_sessions_max{"tls_sessions_max", 1'024, "sessions", AtLimit::drop,
                                        "TLS sessions a client keeps to be resumed"};
inline constexpr Limit tls_buffer_count{"tls_buffer_count", 1'024, "buffers", AtLimit::wait,
                                        "buffers of decrypted bytes, shared by a loop's streams"};
inline constexpr Limit tls_buffer_size{"tls_buffer_size", 16'384, "bytes", AtLimit::wait,
                                       "bytes of one such buffer: a whole record"};

// HTTP and WebSocket.
inline constexpr Limit http_head_max{"http_head_max", 32'768, "bytes", AtLimit::reject,
                                     "request line and header fields: 431"};
inline constexpr Limit http_fields_max{"http_fields_max", 100, "fields", AtLimit::reject,
                                       "header fields of one message: 431"};
inline constexpr Limit http_target_max{"http_target_max", 8'192, "bytes", AtLimit::reject,
                                       "request target: 414"};
inline constexpr Limit http_body_max{"http_body_max", 1'048'576, "bytes", AtLimit::reject,
                                     "request body: 413"};
inline constexpr Limit http_chunk_extensions_max{"http_chunk_extensions_max", 4'096, "bytes",
                                                 AtLimit::reject,
                                                 "chunk extensions of one chunked body: 413"};
inline constexpr Limit http_pipeline_max{"http_pipeline_max", 64, "requests", AtLimit::wait,
                                         "requests of one connection answered before a flush"};
inline constexpr Limit http_drain_max{"http_drain_max", 65'536, "bytes", AtLimit::close,
                                      "unread request body that is read away for keep-alive"};
inline constexpr Limit http_drain_timeout{"http_drain_timeout", 2'000, "ms", AtLimit::close,
                                          "a refused client's bytes are read away that long"};
inline constexpr Limit http_connections_max{"http_connections_max", 20'000, "connections",
                                            AtLimit::wait, "connections of one server"};
inline constexpr Limit http_head_timeout{"http_head_timeout", 10'000, "ms", AtLimit::close,
                                         "a request's head must be complete: 408"};
inline constexpr Limit http_body_timeout{"http_body_timeout", 30'000, "ms", AtLimit::close,
                                         "the next piece of a request's body must arrive: 408"};
inline constexpr Limit http_keep_alive{"http_keep_alive", 60'000, "ms", AtLimit::close,
                                       "an idle connection is closed"};
inline constexpr Limit http_write_timeout{"http_write_timeout", 30'000, "ms", AtLimit::close,
                                          "the peer must take some of the answer"};
inline constexpr Limit http2_streams_max{"http2_streams_max", 100, "streams", AtLimit::reject,
                                         "requests of one HTTP/2 connection at once"};
inline constexpr Limit http2_stream_window{"http2_stream_window", 131'072, "bytes", AtLimit::wait,
                                           "body of one HTTP/2 request that nobody has read"};
inline constexpr Limit http2_connection_window{
    "http2_connection_window", 524'288, "bytes", AtLimit::wait,
    "bodies of one HTTP/2 connection that nobody has read"};
inline constexpr Limit http2_client_stream_window{
    "http2_client_stream_window", 524'288, "bytes", AtLimit::wait,
    "an answer of HTTP/2 that its client has not read yet"};
inline constexpr Limit http2_client_connection_window{
    "http2_client_connection_window", 16'777'216, "bytes", AtLimit::wait,
    "answers of one HTTP/2 connection that their client has not read yet"};
inline constexpr Limit http2_continuations_max{"http2_continuations_max", 8, "frames",
                                               AtLimit::close,
                                               "CONTINUATION frames of one HTTP/2 head"};
inline constexpr Limit http2_reset_rate{
    "http2_reset_rate", 200, "streams/s", AtLimit::close,
    "HTTP/2 streams a peer may reset, or have reset by its mistakes"};
inline constexpr Limit http2_control_rate{
    "http2_control_rate", 1'000, "frames/s", AtLimit::close,
    "HTTP/2 frames that carry nothing: settings, pings, priorities, windows, empty data"};
inline constexpr Limit http2_ping_timeout{"http2_ping_timeout", 10'000, "ms", AtLimit::close,
                                          "a server must answer a client's ping of HTTP/2"};
inline constexpr Limit http_interims_max{"http_interims_max", 32, "answers", AtLimit::reject,
                                         "interim answers (1xx) in front of one answer"};
inline constexpr Limit http_packed_max{"http_packed_max", 67'108'864, "bytes", AtLimit::drop,
                                       "answers of one StaticFiles kept packed"};
inline constexpr Limit http_packing_max{
    "http_packing_max", 33'554'432, "bytes", AtLimit::copy,
    "files one StaticFiles packs at once: the next are sent as they are"};
inline constexpr Limit http_client_connections_max{
    "http_client_connections_max", 256, "connections", AtLimit::wait, "connections of one client"};
inline constexpr Limit http_client_per_origin_max{"http_client_per_origin_max", 8, "connections",
                                                  AtLimit::wait,
                                                  "connections of one client to one server"};
inline constexpr Limit http_client_waiting_max{
    "http_client_waiting_max", 10'000, "requests", AtLimit::reject,
    "requests of one client that wait for a connection to one server"};
inline constexpr Limit http_continue_timeout{
    "http_continue_timeout", 1'000, "ms", AtLimit::wait,
    "a client that expects 100 Continue sends the body all the same"};
inline constexpr Limit http_redirects_max{"http_redirects_max", 10, "redirects", AtLimit::reject,
                                          "redirects followed for one request"};
inline constexpr Limit http_retries_max{"http_retries_max", 2, "retries", AtLimit::report,
                                        "times a request that may be repeated is sent again"};
inline constexpr Limit http_retry_delay{"http_retry_delay", 200, "ms", AtLimit::wait,
                                        "before the first repetition; doubled for each"};
inline constexpr Limit http_connect_timeout{"http_connect_timeout", 10'000, "ms", AtLimit::close,
                                            "a client's connection must stand"};
inline constexpr Limit http_answer_timeout{"http_answer_timeout", 30'000, "ms", AtLimit::close,
                                           "the head of an answer must be complete"};
inline constexpr Limit http_answer_max{"http_answer_max", 67'108'864, "bytes", AtLimit::reject,
                                       "an answer's body that is read whole"};
inline constexpr Limit http_rate_clients_max{
    "http_rate_clients_max", 65'536, "clients", AtLimit::drop,
    "addresses a rate limit remembers: the one that asked longest ago goes"};
inline constexpr Limit http_parts_max{"http_parts_max", 1'000, "parts", AtLimit::reject,
                                      "parts of one multipart body"};
inline constexpr Limit http_part_head_max{"http_part_head_max", 16'384, "bytes", AtLimit::reject,
                                          "the fields of one part of a multipart body"};
inline constexpr Limit http_cookies_max{"http_cookies_max", 3'000, "cookies", AtLimit::drop,
                                        "cookies a jar keeps: the one used longest ago goes"};
inline constexpr Limit http_cookies_per_domain_max{
    "http_cookies_per_domain_max", 180, "cookies", AtLimit::drop,
    "cookies a jar keeps for one domain: the one used longest ago goes"};
inline constexpr Limit http_cookie_field_max{
    "http_cookie_field_max", 8'192, "bytes", AtLimit::drop,
    "the Cookie field a jar makes: cookies of shorter paths are left out"};
inline constexpr Limit http_form_pairs_max{"http_form_pairs_max", 1'000, "pairs", AtLimit::reject,
                                           "pairs of one urlencoded body"};
inline constexpr Limit http_challenges_max{
    "http_challenges_max", 16, "challenges", AtLimit::drop,
    "ways to authenticate in one 401 that a client looks at"};
inline constexpr Limit http_unpacked_max{"http_unpacked_max", 1'073'741'824, "bytes",
                                         AtLimit::reject,
                                         "what a client unpacks of one answer's body"};
inline constexpr Limit ws_message_max{"ws_message_max", 1'048'576, "bytes", AtLimit::close,
                                      "one WebSocket message over all its fragments: 1009"};
inline constexpr Limit ws_deflate_min{"ws_deflate_min", 256, "bytes", AtLimit::copy,
                                      "smaller messages are sent as they are"};
inline constexpr Limit ws_queue_max{"ws_queue_max", 262'144, "bytes", AtLimit::reject,
                                    "output of one WebSocket that the peer has not taken"};
inline constexpr Limit ws_ping_interval{"ws_ping_interval", 30'000, "ms", AtLimit::close,
                                        "pings are sent; two without an answer close"};
inline constexpr Limit ws_close_timeout{"ws_close_timeout", 5'000, "ms", AtLimit::close,
                                        "the peer must answer a close frame"};
inline constexpr Limit ws_control_rate{"ws_control_rate", 1'000, "frames/s", AtLimit::close,
                                       "pings and pongs a peer may send"};

/// Every limit above, as docs/reference/limits.md shows them.
std::span<const Limit> all() noexcept;

}  // namespace limits
}  // namespace rondo
