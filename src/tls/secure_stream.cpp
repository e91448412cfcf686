// SPDX-License-Identifier: Apache-2.0
#include "tls/secure_stream.hpp"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "rondo/core/cancel.hpp"
#include "rondo/core/loop.hpp"

namespace rondo::tls::detail {

using rondo::detail::strike;
using rondo::detail::WriteWaiter;

namespace {

constexpr std::size_t k_record = 16'384;  // RFC 8446 section 5.1.

/// "example.org:443", "[::1]:443", "::1" -> the host alone.
std::string host_of(std::string_view peer) {
  if (peer.starts_with('[')) return std::string(peer.substr(1, peer.find(']') - 1));
  const std::size_t colon = peer.find(':');
  if (colon != peer.rfind(':')) return std::string(peer);  // An IPv6 address without a port.
  return std::string(peer.substr(0, colon));
}

bool is_address(const std::string& host) noexcept {
  unsigned char address[sizeof(in6_addr)];
  return ::inet_pton(AF_INET, host.c_str(), address) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), address) == 1;
}

}  // namespace

ByteStream& stream_of(SecureStream& stream) noexcept { return stream; }

// ---- OpenSSL's way in and out

struct SecureStream::Bio {
  static int read(BIO* bio, char* into, int size) {
    auto& self = *static_cast<SecureStream*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    const std::size_t left = self.incoming_.size() - self.taken_;
    if (left == 0) {
      BIO_set_retry_read(bio);
      return -1;
    }
    const std::size_t part = std::min(left, static_cast<std::size_t>(size));
    std::memcpy(into, self.incoming_.bytes().data() + self.taken_, part);
    self.taken_ += part;
    // Given back at once: an idle connection holds no buffer.
    if (self.taken_ == self.incoming_.size()) {
      self.incoming_ = Loan();
      self.taken_ = 0;
    }
    return static_cast<int>(part);
  }
  static int write(BIO* bio, const char* from, int size) {
    auto& self = *static_cast<SecureStream*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    self.records_.append(from, static_cast<std::size_t>(size));
    return size;
  }
  static long control(BIO*, int what, long, void*) { return what == BIO_CTRL_FLUSH ? 1 : 0; }
  static const BIO_METHOD* method() {
    static const BIO_METHOD* const made = [] {
      BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "rondo");
      BIO_meth_set_read(method, &read);
      BIO_meth_set_write(method, &write);
      BIO_meth_set_ctrl(method, &control);
      return method;
    }();
    return made;
  }
};

SecureStream::SecureStream(Context context, Owned<Transport> transport) noexcept
    : ByteStream(TlsService::current().pool()),
      service_(TlsService::current()),
      context_(std::move(context)),
      transport_(std::move(transport)) {
  service_.opened();
}

SecureStream::~SecureStream() {
  if (TaggedLink<Dirty>::linked()) TaggedLink<Dirty>::unlink();
  if (TaggedLink<Starved>::linked()) TaggedLink<Starved>::unlink();
  transport_.reset();
  service_.closed();
}

Result<Owned<SecureStream>> SecureStream::make(Context context, Owned<Transport> transport,
                                               std::string peer) {
  Owned<SecureStream> made(new SecureStream(std::move(context), std::move(transport)));
  ContextState& state = ContextAccess::state(made->context_);
  made->generation_ = state.generation();
  made->connection_ = {
      .state = &state, .generation = made->generation_.get(), .peer = std::move(peer)};
  made->ssl_.reset(SSL_new(made->generation_->identities.front().context.get()));
  BIO* bio = made->ssl_ ? BIO_new(Bio::method()) : nullptr;
  if (!bio) return Error(Errc::no_memory, "tls", take_reason());
  BIO_set_data(bio, made.get());
  BIO_set_init(bio, 1);
  SSL_set_bio(made->ssl(), bio, bio);
  Connection::attach(made->ssl(), &made->connection_);
  if (state.is_server()) {
    SSL_set_accept_state(made->ssl());
  } else {
    SSL_set_connect_state(made->ssl());
    const std::string host = host_of(made->connection_.peer);
    if (host.empty() || !made->prepare_client(host)) {
      return Error(Errc::bad_address, "tls", "not a host name: " + made->connection_.peer);
    }
  }
  return made;
}

bool SecureStream::prepare_client(const std::string& host) noexcept {
  X509_VERIFY_PARAM* expected = SSL_get0_param(ssl());
  X509_VERIFY_PARAM_set_hostflags(expected, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  if (is_address(host)) {  // No SNI: it takes names only (RFC 6066 section 3).
    if (X509_VERIFY_PARAM_set1_ip_asc(expected, host.c_str()) != 1) return false;
  } else {
    if (SSL_set_tlsext_host_name(ssl(), host.c_str()) != 1) return false;
    if (X509_VERIFY_PARAM_set1_host(expected, host.c_str(), host.size()) != 1) return false;
  }
  SSL_set_tlsext_status_type(ssl(), TLSEXT_STATUSTYPE_ocsp);
  SslSession before = connection_.state->sessions.take(connection_.peer);
  return !before || SSL_set_session(ssl(), before.get()) == 1;
}

Result<> SecureStream::offer(const std::vector<std::string>& protocols) noexcept {
  if (protocols.empty()) return {};
  const auto wire = alpn_wire(protocols);
  if (!wire) return wire.error();
  const auto* bytes = reinterpret_cast<const unsigned char*>(wire->data());
  if (SSL_set_alpn_protos(ssl(), bytes, static_cast<unsigned>(wire->size())) == 0) return {};
  return Error(Errc::no_memory, "tls");
}

// ---- The handshake

Task<Result<>> SecureStream::shake_hands() {
  ByteStream& below = transport_->stream();
  while (true) {
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl());
    const int why = SSL_get_error(ssl(), result);
    std::optional<Error> failed;
    if (result != 1 && why != SSL_ERROR_WANT_READ) failed = handshake_error();
    if (!records_.empty()) {  // Also the alert that tells the peer why.
      const std::string records = std::exchange(records_, {});
      auto sent = co_await below.write_all(records);
      if (failed) (void)co_await with_timeout(std::chrono::seconds(1), below.flush());
      if (!sent && !failed) co_return sent.error();
    }
    if (failed) co_return std::move(*failed);
    if (result == 1) co_return Result<>();
    auto got = co_await below.read();
    if (!got) co_return got.error();
    if (got->empty()) co_return Error(Errc::truncated, "tls handshake", connection_.peer);
    incoming_ = std::move(*got);
    taken_ = 0;
  }
}

Error SecureStream::handshake_error() noexcept {
  const std::string_view who = connection_.peer;
  const std::string before = who.empty() ? std::string() : std::string(who) + ": ";
  const long verified = SSL_get_verify_result(ssl());
  const std::string reason = take_reason();
  if (verified != X509_V_OK) {
    return Error(Errc::untrusted, "tls handshake",
                 before + X509_verify_cert_error_string(verified));
  }
  return Error(Errc::protocol_error, "tls handshake", before + reason);
}

Stream SecureStream::begin(Owned<SecureStream> own) {
  SecureStream& self = *own.release();
  // Keeps the session's tickets, and what of the data came with the last flight.
  self.push_records();
  return Stream(self);
}

// ---- Receiving

/// Dies when its task has ended, however that was.
struct SecureStream::Over {
  SecureStream* stream;
  bool SecureStream::*flag;
  Over(SecureStream* of, bool SecureStream::*which) noexcept : stream(of), flag(which) {
    stream->*flag = true;
  }
  Over(Over&& other) noexcept : stream(std::exchange(other.stream, nullptr)), flag(other.flag) {}
  ~Over() {
    if (!stream) return;
    stream->*flag = false;
    stream->serve_writer();
    stream->settle();
  }
};

void SecureStream::start_read() noexcept {
  wanted_.set();
  if (reads_ || ended()) return;
  reading_ = start_callback(read_on(), [over = Over(this, &SecureStream::reads_)](Result<>) {});
}

Task<> SecureStream::read_on() {
  while (!ended()) {
    wanted_.reset();
    if (!decrypt()) {  // No room, or no buffer.
      co_await wanted_.wait();
      continue;
    }
    if (ended()) co_return;
    auto got = co_await transport_->stream().read();
    if (!got) {
      received_error(got.error().code());
    } else if (got->empty()) {
      // Without a close_notify anybody on the way may have cut it (RFC 8446 section 6.1).
      received_error(Errc::truncated);
    } else {
      incoming_ = std::move(*got);
      taken_ = 0;
    }
  }
}

/// Decrypts what is there. False: it stopped because there is no room for more.
bool SecureStream::decrypt() noexcept {
  bool more = true;
  while (more && !ended()) {
    if (full()) return false;
    const std::uint16_t buffer = pool().take();
    if (buffer == io::k_no_buffer) {
      if (!TaggedLink<Starved>::linked()) service_.starved.push_back(*this);
      return false;
    }
    ERR_clear_error();
    const int result =
        SSL_read(ssl(), pool().data(buffer), static_cast<int>(pool().buffer_size()));
    if (result > 0)
      received(buffer, static_cast<std::size_t>(result));
    else
      pool().release(buffer);
    if (result <= 0) more = read_failed(result);
  }
  push_records();  // Reading answers too: a key update, an alert.
  return true;
}

/// What an SSL_read without data means. Always false: there is nothing more to read now.
bool SecureStream::read_failed(int result) noexcept {
  switch (SSL_get_error(ssl(), result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      return false;
    case SSL_ERROR_ZERO_RETURN:
      received_end();
      return false;
    default:
      ERR_clear_error();
      received_error(Errc::protocol_error);
      fail(Errc::protocol_error);
      return false;
  }
}

// ---- Sending

std::size_t SecureStream::unsent() const noexcept {
  return plain_.size() + records_.size() + transport_->stream().unsent();
}

void SecureStream::mark_dirty() noexcept {
  if (!TaggedLink<Dirty>::linked()) service_.dirty.push_back(*this);
}

bool SecureStream::encrypt(ByteView plain) noexcept {
  while (!plain.empty()) {
    const std::size_t part = std::min(plain.size(), k_record);
    ERR_clear_error();
    const int done = SSL_write(ssl(), plain.data(), static_cast<int>(part));
    if (done <= 0) {
      ERR_clear_error();
      fail(Errc::protocol_error);
      return false;
    }
    plain = plain.subspan(static_cast<std::size_t>(done));
  }
  return true;
}

/// Hands the records to the transport, which holds them until the next prepare phase at least.
void SecureStream::push_records() noexcept {
  if (records_.empty()) return;
  constexpr std::size_t k_any = static_cast<std::size_t>(-1);
  const SharedBytes records = SharedBytes::copy(records_);
  records_.clear();
  if (records_.capacity() > 2 * k_record) records_.shrink_to_fit();
  if (records.empty()) return fail(Errc::no_memory);
  if (auto sent = transport_->stream().try_write(records, k_any); !sent) fail(sent.error().code());
}

/// The prepare phase: everything accepted in this iteration becomes as few records as can be.
void SecureStream::flush_records() noexcept {
  if (write_error_ == Errc{0} && encrypt(as_bytes(plain_))) plain_.clear();
  push_records();
  if (shutdown_asked_) say_goodbye();
  serve_writer();
}

void SecureStream::say_goodbye() noexcept {
  if (write_error_ != Errc{0} || std::exchange(goodbye_said_, true)) return;
  ERR_clear_error();
  SSL_shutdown(ssl());  // Sends close_notify; the peer's is read like data.
  ERR_clear_error();
  push_records();
  if (write_error_ == Errc{0}) write_error_ = Errc::closed;
}

void SecureStream::shutdown_write() noexcept {
  shutdown_asked_ = true;
  mark_dirty();
}

bool SecureStream::start_write(WriteWaiter& waiter) noexcept {
  RONDO_ASSERT(!writer_, "one task at a time writes a stream: use a Channel or try_write");
  const bool failed = write_error_ != Errc{0} && write_error_ != Errc::closed;
  if (failed || (shutdown_asked_ && !waiter.is_flush)) {
    waiter.error = failed ? write_error_ : Errc::closed;
    return true;
  }
  if (try_accept(waiter)) return true;
  writer_ = &waiter;
  await_room();
  return false;
}

/// Takes what there is room for. True when the waiter has nothing left to wait for.
bool SecureStream::try_accept(WriteWaiter& waiter) noexcept {
  if (waiter.is_flush) return unsent() == 0;
  if (is_large(waiter)) return advance_large(waiter);
  const std::size_t queued = unsent();
  const std::size_t limit = writer_ == &waiter ? limits::cork_max.value / 2
                                               : limits::cork_max.value - waiter.rest.size();
  if (queued > limit) return false;
  plain_.append(as_text(waiter.rest));
  mark_dirty();
  return true;
}

bool SecureStream::advance_large(WriteWaiter& waiter) noexcept {
  if (!plain_.empty()) {
    if (!encrypt(as_bytes(plain_))) return false;
    plain_.clear();
  }
  while (!waiter.rest.empty() && unsent() < limits::cork_max.value) {
    const ByteView part = waiter.rest.first(std::min(waiter.rest.size(), k_record));
    if (!encrypt(part)) return false;
    waiter.started = true;
    waiter.rest = waiter.rest.subspan(part.size());
  }
  push_records();
  return waiter.rest.empty();
}

void SecureStream::serve_writer() noexcept {
  if (!writer_ || write_error_ != Errc{0}) {
    if (writer_ && write_error_ == Errc::closed && writer_->is_flush && unsent() > 0) await_room();
    if (writer_ && write_error_ == Errc::closed && unsent() == 0)
      written(*std::exchange(writer_, nullptr), Errc{0});
    return;
  }
  WriteWaiter& waiter = *writer_;
  if (!try_accept(waiter)) {
    if (writer_) await_room();
    return;
  }
  writer_ = nullptr;
  written(waiter, Errc{0});
}

/// Waits until the transport has sent all it was given; then the writer's turn comes.
void SecureStream::await_room() noexcept {
  if (drains_) return;
  if (!plain_.empty()) mark_dirty();
  draining_ = start_callback(transport_->stream().flush(),
                             [this, over = Over(this, &SecureStream::drains_)](Result<> sent) {
                               if (!sent) fail(sent.error().code());
                             });
}

void SecureStream::cancel_write(WriteWaiter& waiter) noexcept {
  writer_ = nullptr;
  if (waiter.started) fail(Errc::broken);
  strike(waiter);
}

Result<> SecureStream::queue_shared(const SharedBytes& message, std::size_t limit) noexcept {
  if (write_error_ != Errc{0}) return Error(write_error_, "write");
  if (shutdown_asked_) return Error(Errc::closed, "write");
  if (unsent() + message.size() > limit) return Error(Errc::would_exceed, "write");
  plain_.append(message.text());
  mark_dirty();
  return {};
}

void SecureStream::fail(Errc error) noexcept {
  if (write_error_ == Errc{0} || write_error_ == Errc::closed) write_error_ = error;
  plain_.clear();
  records_.clear();
  if (writer_) written(*std::exchange(writer_, nullptr), error);
}

// ---- Closing

void SecureStream::detach() noexcept {
  RONDO_ASSERT(!has_reader() && !writer_, "a stream was closed while a task waits in it");
  gone_ = true;
  discard_unread();
  if (TaggedLink<Starved>::linked()) TaggedLink<Starved>::unlink();
  if (TaggedLink<Dirty>::linked()) TaggedLink<Dirty>::unlink();
  if (write_error_ == Errc{0} && encrypt(as_bytes(plain_))) plain_.clear();
  push_records();
  say_goodbye();
  reading_.cancel();
  draining_.cancel();
  settle();
}

void SecureStream::settle() noexcept {
  if (!gone_ || reads_ || drains_ || std::exchange(freeing_, true)) return;
  run = [](rondo::detail::Ready& entry) { delete static_cast<SecureStream*>(&entry); };
  service_.loop().close_later(*this);
}

}  // namespace rondo::tls::detail
