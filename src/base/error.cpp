// SPDX-License-Identifier: Apache-2.0
#include "rondo/base/error.hpp"

#include <atomic>
#include <cstring>
#include <utility>

namespace rondo {

/// The shared text behind an Error; counted atomically because errors cross threads.
struct Error::Object {
  std::atomic<std::uint32_t> count{1};
  std::string text;
};

namespace {

const char* own_text(Errc code) {
  switch (code) {
    case Errc::cancelled: return "cancelled";
    case Errc::timed_out: return "timed out";
    case Errc::end_of_stream: return "the peer closed the connection too early";
    case Errc::stopping: return "stopping: no new work is accepted";
    case Errc::closed: return "closed on this side";
    case Errc::broken: return "a cancelled transfer went through in part";
    case Errc::too_large: return "too large";
    case Errc::would_exceed: return "the queue is full";
    case Errc::not_supported: return "not supported by this driver";
    case Errc::no_such_host: return "no such host";
    case Errc::resolve_failed: return "the name could not be resolved";
    case Errc::bad_address: return "not an address";
    case Errc::protocol_error: return "the peer broke the protocol";
    case Errc::bad_message: return "the message cannot be accepted";
    case Errc::failed: return "the task failed with an exception";
    case Errc::truncated: return "the connection was cut before its end";
    case Errc::untrusted: return "the certificate is not trusted";
    case Errc::abandoned: return "dropped without a result";
    default: return nullptr;
  }
}

}  // namespace

std::string describe(Errc code) {
  if (const char* text = own_text(code)) return text;
  char buffer[128];
  return strerror_r(static_cast<int>(code), buffer, sizeof buffer);  // NOLINT: the GNU form.
}

Error::Error(Errc code, const char* operation, std::string_view object)
    : code_(code), operation_(operation), object_(new Object{.text = std::string(object)}) {}

Error::Error(const Error& other) noexcept
    : code_(other.code_), operation_(other.operation_), object_(other.object_) {
  if (object_) object_->count.fetch_add(1, std::memory_order_relaxed);
}

Error::Error(Error&& other) noexcept
    : code_(other.code_),
      operation_(other.operation_),
      object_(std::exchange(other.object_, nullptr)) {}

Error& Error::operator=(const Error& other) noexcept {
  Error copy(other);
  return *this = std::move(copy);
}

Error& Error::operator=(Error&& other) noexcept {
  std::swap(code_, other.code_);
  std::swap(operation_, other.operation_);
  std::swap(object_, other.object_);
  return *this;
}

Error::~Error() { drop(); }

void Error::drop() noexcept {
  if (object_ && object_->count.fetch_sub(1, std::memory_order_acq_rel) == 1) delete object_;
}

std::string_view Error::object() const noexcept {
  return object_ ? std::string_view(object_->text) : std::string_view();
}

std::string Error::message() const {
  std::string text(operation());
  if (!object().empty()) text.append(text.empty() ? "" : " ").append(object());
  if (!text.empty()) text.append(": ");
  return text.append(describe(code_));
}

SystemError::SystemError(Error error) : error_(std::move(error)), text_(error_.message()) {}

namespace detail {
void throw_error(const Error& error) { throw SystemError(error); }
}  // namespace detail

}  // namespace rondo
