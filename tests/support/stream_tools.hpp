// SPDX-License-Identifier: Apache-2.0
// What tests of streams do over and over: hear all, fill a connection, wait with a bound.
//
//   (void)co_await stuff(ends.near, 60'000);      // output that nobody reads
//   EXPECT_TRUE(co_await until([] { return net::socket_statistics().open == 1; }));
//
// Lifetime: the streams outlive the calls. Thread rule: the loop's thread.
#pragma once

#include <span>
#include <string>

#include "every_driver.hpp"
#include "net_pairs.hpp"

namespace rondo::testing {

inline ByteSpan span_of(std::string& text) { return std::as_writable_bytes(std::span(text)); }
inline std::uint32_t free_buffers() { return rondo::loop().driver().buffers().free_count(); }
inline const io::DriverStatistics& driver_statistics() {
  return rondo::loop().driver().statistics();
}

/// Everything until the end of the stream.
inline Task<std::string> hear_all(net::Stream& from) {
  std::string heard;
  while (true) {
    Loan got = co_await from.read().or_throw();
    if (got.empty()) co_return heard;
    heard.append(got.text());
  }
}

/// Waits for `done()` with a bound; false when it does not come true.
template <class F>
Task<bool> until(F done) {
  for (int i = 0; i < 5'000; ++i) {
    if (done()) co_return true;
    co_await sleep_for(1ms);
  }
  co_return false;
}

/// Queues output until the kernel takes no more and `least` bytes wait.
inline Task<std::size_t> stuff(net::Stream& near, std::size_t least) {
  const SharedBytes block = SharedBytes::copy(std::string(16'384, 's'));
  std::size_t written = 0;
  for (int refused = 0; refused < 20;) {
    if (near.try_write(block, least + block.size()))
      written += block.size(), refused = 0;
    else
      ++refused, co_await sleep_for(1ms);
    co_await checkpoint();
  }
  co_return written;
}

}  // namespace rondo::testing
