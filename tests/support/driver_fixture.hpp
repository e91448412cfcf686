// SPDX-License-Identifier: Apache-2.0
// DriverTest: one driver, bare operations, no coroutine. The same source for every driver.
//
// Each test ends by destroying the driver, which asserts that nothing is in flight and that every
// receive buffer is back. Waiting is bounded by a hang guard, never by an expected time.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "io/sim/sim_driver.hpp"
#include "rondo/io/driver.hpp"
#include "rondo/io/socket_ops.hpp"

namespace rondo::io::testing {

using namespace std::chrono_literals;

inline std::vector<std::string> all_driver_names() { return {"uring", "epoll", "sim"}; }

/// Makes the driver called `name`.
inline std::unique_ptr<Driver> make_named(const std::string& name, DriverOptions options) {
  if (name == "sim") {
    return make_sim_driver({.addresses = {"127.0.0.1"},
                            .buffer_count = options.buffer_count,
                            .buffer_size = options.buffer_size});
  }
  options.kind = name == "uring" ? DriverKind::uring : DriverKind::epoll;
  return std::unique_ptr<Driver>(make_driver(options).release());
}

/// An operation that keeps its completions.
template <class Op>
struct Recorded : Op {
  Recorded() {
    this->on_complete = [](Operation& op, const Completion& done) noexcept {
      static_cast<Recorded&>(op).got.push_back(done);
    };
  }
  bool ended() const { return !got.empty() && !got.back().more; }
  std::int32_t result() const { return got.empty() ? INT32_MIN : got.back().result; }

  std::vector<Completion> got;
};

inline Address loopback(std::uint16_t port = 0) {
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  name.sin_port = htons(port);
  Address address;
  std::memcpy(address.storage, &name, sizeof name);
  address.size = sizeof name;
  return address;
}

/// Receives until the end of the stream, through every ENOBUFS, and counts what ended a turn.
struct Sink : RecvOp {
  Sink(Driver& with, int from) : driver(with) {
    fd = from;
    on_complete = [](Operation& op, const Completion& done) noexcept {
      static_cast<Sink&>(op).take(done);
    };
    driver.submit(*this);
  }
  void take(const Completion& done) {
    if (done.result > 0) {
      const auto* text = reinterpret_cast<const char*>(driver.buffers().data(done.buffer));
      bytes.append(text, static_cast<std::size_t>(done.result));
      driver.buffers().release(done.buffer);
    }
    if (done.more) return;
    if (done.result == -ENOBUFS) ++starved;
    if (done.result > 0 || done.result == -ENOBUFS)
      driver.submit(*this);
    else
      end = done.result, ended = true;
  }

  Driver& driver;
  std::string bytes;
  int starved = 0;
  std::int32_t end = 0;
  bool ended = false;
};

class DriverTest : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { make({}); }
  void TearDown() override {
    while (!open_.empty()) close(open_.back());
    settle();
  }
  void make(const DriverOptions& options) { driver_ = make_named(GetParam(), options); }
  Driver& driver() { return *driver_; }
  void replace(const DriverOptions& options) {
    while (!open_.empty()) close(open_.back());
    listener_ = -1;
    driver_.reset();
    make(options);
  }

  /// Waits until `done()`; a failure when that does not come true in a long time.
  template <class F>
  [[nodiscard]] bool until(F&& done) {
    const auto guard = std::chrono::steady_clock::now() + 30s;
    while (!done()) {
      if (std::chrono::steady_clock::now() > guard) return false;
      driver().wait(Wait::block, driver().now() + 20ms);
    }
    return true;
  }
  /// Lets everything happen that needs nothing more from the test.
  void settle() {
    for (int i = 0; i < 10; ++i) driver().wait(Wait::block, driver().now() + 1ms);
  }
  void poll() { driver().wait(Wait::poll, {}); }

  /// Submits an immediate operation and returns its result.
  template <class Op>
  std::int32_t now(Recorded<Op>& op) {
    op.got.clear();
    driver().submit(op);
    EXPECT_EQ(op.got.size(), 1u) << "an immediate operation completes inside of submit";
    EXPECT_FALSE(op.in_flight());
    return op.result();
  }
  /// Submits an operation and returns the result of its terminal completion.
  template <class Op>
  std::int32_t run(Recorded<Op>& op) {
    op.got.clear();
    driver().submit(op);
    EXPECT_TRUE(until([&] { return op.ended(); })) << op_name(op.kind) << " did not complete";
    EXPECT_FALSE(op.in_flight());
    return op.result();
  }

  /// A listener; the test closes it at its end unless it did itself.
  int listen(int backlog = 128) {
    Recorded<ListenOp> op;
    op.address = loopback();
    op.backlog = backlog;
    const int fd = now(op);
    EXPECT_GE(fd, 0);
    return keep(fd);
  }
  Address name_of(int fd, bool peer = false) {
    Recorded<SocketNameOp> op;
    op.fd = fd;
    op.peer = peer;
    EXPECT_EQ(now(op), 0);
    return op.address;
  }
  struct Pair {
    int near = -1;
    int far = -1;
  };
  /// Two ends of one connection.
  Pair connect() {
    if (listener_ < 0) listener_ = listen();
    return connect(listener_);
  }
  Pair connect(int listener) {
    Recorded<AcceptOp> accept;
    accept.fd = listener;
    driver().submit(accept);
    Recorded<ConnectOp> op;
    op.address = name_of(listener);
    const Pair made{.near = run(op), .far = -1};
    EXPECT_TRUE(until([&] { return !accept.got.empty(); }));
    driver().cancel(accept);
    EXPECT_TRUE(until([&] { return accept.ended(); }));
    return {.near = keep(made.near), .far = keep(accept.got.front().result)};
  }
  int keep(int fd) {
    if (fd >= 0) open_.push_back(fd);
    return fd;
  }
  /// The test has closed `fd` itself.
  void forget(int fd) { std::erase(open_, fd); }
  void close(int fd) {
    forget(fd);
    Recorded<CloseOp> op;
    op.fd = fd;
    EXPECT_EQ(run(op), 0);
  }
  void send(int fd, std::string_view text) {
    while (!text.empty()) {
      Recorded<SendOp> op;
      op.fd = fd;
      op.data = rondo::as_bytes(text).data();
      op.size = text.size();
      const std::int32_t sent = run(op);
      ASSERT_GT(sent, 0);
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  void shut(int fd) {
    Recorded<ShutdownOp> op;
    op.fd = fd;
    EXPECT_EQ(now(op), 0);
  }
  /// Gives the buffers of received data back and returns the data.
  std::string text_of(const Recorded<RecvOp>& op) {
    std::string text;
    for (const Completion& done : op.got) {
      if (done.buffer == k_no_buffer) continue;
      text.append(reinterpret_cast<const char*>(driver().buffers().data(done.buffer)),
                  static_cast<std::size_t>(done.result));
      driver().buffers().release(done.buffer);
    }
    return text;
  }

 private:
  std::unique_ptr<Driver> driver_;
  std::vector<int> open_;
  int listener_ = -1;
};

}  // namespace rondo::io::testing
