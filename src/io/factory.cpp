// SPDX-License-Identifier: Apache-2.0
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "io/epoll/make.hpp"
#include "io/uring/make.hpp"
#include "rondo/base/error.hpp"
#include "rondo/base/log.hpp"
#include "rondo/io/driver.hpp"

namespace rondo::io {
namespace {

using namespace std::chrono_literals;

/// Smaller ones are not worth their memory.
constexpr std::uint32_t k_ring_entries_min = 16;
constexpr std::uint32_t k_buffer_count_min = 256;

/// The memory of a ring that was just closed is credited back late (some 60 ms on Linux 6.18): a
/// restarted server would lose its ring if the first ENOMEM were taken at its word. When it stays,
/// the limit is low, and less is asked for.
std::unique_ptr<Driver> make_uring(DriverOptions options, int& error) {
  const auto halved = [](std::uint32_t n, std::uint32_t min) { return n > min ? n / 2 : n; };
  auto pause = 10ms;
  for (auto waited = 0ms;; waited += pause, pause *= 2) {
    if (waited > 100ms) {
      options.ring_entries = halved(options.ring_entries, k_ring_entries_min);
      options.buffer_count = halved(options.buffer_count, k_buffer_count_min);
    }
    auto driver = uring::make(options, error);
    if (error != ENOMEM || waited + pause > 1s) return driver;
    std::this_thread::sleep_for(pause);
  }
}

DriverKind wanted(DriverKind kind) {
  const char* name = std::getenv("RONDO_DRIVER");
  if (kind != DriverKind::best || !name || !*name) return kind;
  if (std::string_view(name) == "uring") return DriverKind::uring;
  if (std::string_view(name) == "epoll") return DriverKind::epoll;
  throw SystemError(Error(Errc::invalid_argument, "RONDO_DRIVER",
                          std::string(name) + " (uring or epoll is wanted)"));
}

}  // namespace

Owned<Driver> make_driver(const DriverOptions& options) {
  const DriverKind kind = wanted(options.kind);
  if (kind == DriverKind::epoll) return epoll::make(options);
  int error = 0;
  if (auto driver = make_uring(options, error)) return driver;
  if (kind == DriverKind::uring) throw SystemError(Error::from_errno(error, "io_uring"));
  log(LogLevel::warning, "io_uring is refused (" + describe(static_cast<Errc>(error)) +
                             "): using the epoll driver, which is slower");
  return epoll::make(options);
}

}  // namespace rondo::io
