// SPDX-License-Identifier: Apache-2.0
// Not a workload of the peers: what datagrams in batches, and sends without a copy, save. Both
// ends on one loop over loopback, in lockstep, so that CPU is that of sending and receiving.
#include <string>
#include <vector>

#include "measure.hpp"
#include "rondo/core/loop.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/core/when.hpp"
#include "rondo/net/tcp.hpp"
#include "rondo/net/udp.hpp"

namespace bench {
namespace {

using namespace rondo;

constexpr std::size_t k_segment = 1'200;
constexpr std::size_t k_burst = 32;  // Fits the default receive buffer: none is dropped.
constexpr int k_bursts = 10'000;
constexpr double k_mib = 1'048'576;

/// CPU and kernel entries of a stretch, for each MiB that was carried.
class Meter {
 public:
  void report(const std::string& what, double bytes) const {
    const double mib = bytes / k_mib;
    put(("CPU per MiB: " + what).c_str(), watch_.cpu_us_per(mib), "us");
    put(("kernel entries per MiB: " + what).c_str(),
        static_cast<double>(entries() - entries_) / mib, "");
  }

 private:
  static std::uint64_t entries() { return loop().driver().statistics().kernel_entries; }
  Stopwatch watch_;
  std::uint64_t entries_ = entries();
};

Task<> send_burst(udp::Socket& from, ByteView bytes, net::Endpoint to, bool together) {
  if (together) {
    (co_await from.send_segments(bytes, k_segment, to)).or_throw();
    co_return;
  }
  for (std::size_t i = 0; i < k_burst; ++i) {
    (co_await from.send_to(bytes.subspan(i * k_segment, k_segment), to)).or_throw();
  }
}

Task<> receive_burst(udp::Socket& at, net::DatagramBatch& batch, bool together) {
  std::vector<std::byte> buffer(2'048);
  for (std::size_t got = 0; got < k_burst;) {
    if (together) {
      got += (co_await at.receive_batch(batch)).or_throw();
    } else {
      static_cast<void>((co_await at.receive_from(buffer)).or_throw());
      ++got;
    }
  }
}

Task<> datagrams(const char* name, bool send_together, bool receive_together) {
  auto from = udp::Socket::bind({.address = "127.0.0.1:0"}).or_throw();
  auto at = udp::Socket::bind({.address = "127.0.0.1:0"}).or_throw();
  const auto to = at.local().or_throw();
  const std::vector<std::byte> bytes(k_segment * k_burst);
  net::DatagramBatch batch(k_burst, 2'048);
  const Meter meter;
  for (int i = 0; i < k_bursts; ++i) {
    co_await send_burst(from, bytes, to, send_together);
    co_await receive_burst(at, batch, receive_together);
  }
  meter.report(name, static_cast<double>(bytes.size()) * k_bursts);
}

Task<> drain(net::Stream& stream, std::size_t bytes) {
  while (bytes > 0) {
    auto got = (co_await stream.read()).or_throw();
    bytes -= got.size();
  }
}

Task<> stream(std::size_t size, bool zero_copy) {
  constexpr std::size_t k_total = 512 * 1'048'576;
  auto listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
  auto out = (co_await tcp::connect(listener.local())).or_throw();
  auto in = (co_await listener.accept()).or_throw();
  out.set_zero_copy(zero_copy);
  const std::vector<std::byte> bytes(size);
  const Meter meter;
  co_await with_scope([&](Scope& scope) -> Task<> {
    scope.start(drain, std::ref(in), k_total);
    for (std::size_t sent = 0; sent < k_total; sent += size) {
      (co_await out.write_all(bytes)).or_throw();
    }
  });
  meter.report("TCP writes of " + std::to_string(size / 1'024) +
                   (zero_copy ? " KiB, zero-copy" : " KiB, copied"),
               k_total);
}

Task<> measure() {
  co_await datagrams("UDP send_to, receive_from", false, false);
  co_await datagrams("UDP send_to, receive_batch", false, true);
  co_await datagrams("UDP send_segments, receive_from", true, false);
  co_await datagrams("UDP send_segments, receive_batch", true, true);
  for (const std::size_t kib : {32U, 256U, 1'024U}) {
    co_await stream(kib * 1'024, false);
    co_await stream(kib * 1'024, true);
  }
}

}  // namespace

int network() { return rondo::run(measure()); }

}  // namespace bench
