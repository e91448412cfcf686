// SPDX-License-Identifier: Apache-2.0
// Error: why an operation did not do what it was asked, as a value.
//
//   Error e(Errc::timed_out, "connect", "127.0.0.1:80");
//   e.message();        // "connect 127.0.0.1:80: timed out"
//   if (e == Errc::timed_out) retry();
//
// A code is either the kernel's errno (1 .. 4095, made with `Error::from_errno`) or one of the
// names below. Cancellation of the awaiting task is never an Error: it ends the task (see
// core/cancel.hpp); `Errc::cancelled` is only seen by somebody else, at a handle or a bracket.
// Lifetime: the operation's name must be a string literal; the object's text is owned, shared.
// Thread rule: values; copies may go to any thread.
#pragma once

#include "rondo/base/compiler.hpp"

#include <cstdint>
#include <exception>
#include <string>
#include <string_view>

namespace rondo {

/// Why something failed. Values below 4096 are the kernel's errno under their own number.
enum class Errc : std::int32_t {
  // The kernel's numbers that portable code asks for by name.
  not_permitted = 1,
  no_such_file = 2,
  interrupted = 4,
  io_error = 5,
  bad_descriptor = 9,
  try_again = 11,
  no_memory = 12,
  access_denied = 13,
  exists = 17,
  invalid_argument = 22,
  too_many_descriptors_in_system = 23,
  too_many_descriptors = 24,
  no_space = 28,
  broken_pipe = 32,
  function_missing = 38,
  address_in_use = 98,
  address_not_available = 99,
  network_unreachable = 101,
  connection_aborted = 103,
  connection_reset = 104,
  no_buffers = 105,
  not_connected = 107,
  connection_timed_out = 110,
  connection_refused = 111,
  host_unreachable = 113,
  operation_cancelled = 125,

  // The library's own.
  cancelled = 4096,  ///< a task or scope that this one asked about was cancelled
  timed_out,         ///< `with_timeout` struck, or a named time-out passed
  end_of_stream,     ///< the peer closed before what was asked for had arrived
  stopping,          ///< a soft stop was requested: no new work is accepted
  closed,            ///< this end was closed
  broken,            ///< a cancelled transfer was sent or read in part: close the stream
  too_large,         ///< a named limit (base/limits.hpp) was exceeded
  would_exceed,      ///< `try_` call: the queue is full, nothing was taken
  not_supported,     ///< this driver cannot do it (docs/reference/drivers.md)
  no_such_host,      ///< name resolution: there is no such name or no address for it
  resolve_failed,    ///< name resolution: no server answered
  bad_address,       ///< text that is not an address, port or path of a socket
  protocol_error,    ///< the peer broke the protocol spoken on this stream
  bad_message,       ///< well framed, but its content cannot be accepted
  failed,            ///< a child ended with an exception, which its scope carries
  truncated,         ///< the connection ended without the word that ends it: bytes may be missing
  untrusted,         ///< the peer's certificate is not signed by anybody believed, or not for it
  abandoned,         ///< nobody will answer: a Promise, a sender or a Resume died unset
};

/// One lowercase phrase for a code: "timed out"; for the kernel's numbers its own text.
std::string describe(Errc code);

/// A code with the name of the operation and the object it was done to. 24 bytes.
class [[nodiscard("look at it, or return it")]] Error {
 public:
  Error(Errc code) noexcept : code_(code) {}  // NOLINT: a bare code is an error.
  Error(Errc code, const char* operation) noexcept : code_(code), operation_(operation) {}
  Error(Errc code, const char* operation, std::string_view object);
  Error(const Error& other) noexcept;
  Error(Error&& other) noexcept;
  Error& operator=(const Error& other) noexcept;
  Error& operator=(Error&& other) noexcept;
  ~Error();

  /// The kernel's number (positive) as an Error.
  static Error from_errno(int number, const char* operation) noexcept {
    return {static_cast<Errc>(number), operation};
  }
  static Error from_errno(int number, const char* operation, std::string_view object) {
    return {static_cast<Errc>(number), operation, object};
  }

  Errc code() const noexcept { return code_; }
  /// The operation's name, "" when none was given.
  const char* operation() const noexcept { return operation_ ? operation_ : ""; }
  /// The path, endpoint or name it was done to, "" when none was given.
  std::string_view object() const noexcept;
  /// The same error, told about another object; keeps code and operation.
  Error about(std::string_view object) const { return {code_, operation_, object}; }
  /// "operation object: reason".
  std::string message() const;

  friend bool operator==(const Error& a, Errc b) noexcept { return a.code_ == b; }

 private:
  struct Object;
  void drop() noexcept;

  Errc code_;
  const char* operation_ = nullptr;
  Object* object_ = nullptr;
};

/// What `or_throw()` throws.
class SystemError : public std::exception {
 public:
  explicit SystemError(Error error);
  const char* what() const noexcept override { return text_.c_str(); }
  const Error& error() const noexcept { return error_; }
  Errc code() const noexcept { return error_.code(); }

 private:
  Error error_;
  std::string text_;
};

namespace detail {
[[noreturn]] void throw_error(const Error& error);
}

}  // namespace rondo
