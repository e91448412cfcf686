// SPDX-License-Identifier: Apache-2.0
#include "rondo/process/standard.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "process/fd_stream.hpp"
#include "rondo/process/signal.hpp"

namespace rondo::process {

namespace {

/// Whether 0, 1 and 2 were open before main(): later a loop's own descriptors have the numbers of
/// those that were not, and would be read and written in their place.
struct AtStart {
  bool is_open[3];
  AtStart() noexcept {
    for (int number = 0; number < 3; ++number) is_open[number] = ::fcntl(number, F_GETFD) >= 0;
  }
};
const AtStart k_at_start;

}  // namespace

namespace detail {

ByteStream& ProcessService::standard(int number) {
  FdStream*& stream = standard_[number];
  if (stream) return *stream;
  Errc absent = Errc::closed;
  int fd = -1;
  if (!driver().probe().has_threads) {
    absent = Errc::not_supported;  // A simulated process has no descriptors of this one.
  } else if (k_at_start.is_open[number]) {
    // A copy, which the stream may close; the description, with its flags, is the same.
    fd = ::fcntl(number, F_DUPFD_CLOEXEC, 3);
    if (fd < 0 && errno != EBADF) absent = static_cast<Errc>(errno);
  }
  const bool is_input = number == STDIN_FILENO;
  stream = new FdStream(*this, is_input ? fd : -1, is_input ? -1 : fd, absent);
  stream->keep();
  if (!is_input) (void)ignore_sigpipe();
  return *stream;
}

}  // namespace detail

ByteStream& standard_input() { return detail::ProcessService::current().standard(STDIN_FILENO); }
ByteStream& standard_output() { return detail::ProcessService::current().standard(STDOUT_FILENO); }
ByteStream& standard_error() { return detail::ProcessService::current().standard(STDERR_FILENO); }

}  // namespace rondo::process
