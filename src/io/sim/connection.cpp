// SPDX-License-Identifier: Apache-2.0
#include "io/sim/connection.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "io/sim/world.hpp"
#include "rondo/base/assert.hpp"

namespace rondo::io::sim {
namespace {

// Linux retransmits for about so long (tcp_retries2) before a connection ends with ETIMEDOUT.
constexpr Duration k_give_up = std::chrono::seconds(924);
constexpr Duration k_coalesce_max = std::chrono::milliseconds(1);

}  // namespace

Connection::Connection(World& world, Kind kind, std::uint64_t id, int host_0, int host_1)
    : world_(world), kind_(kind), id_(id) {
  ends_[0].host = host_0;
  ends_[1].host = host_1;
}

std::size_t Connection::space(int side) const {
  const std::size_t capacity = world_.network().link(ends_[0].host, ends_[1].host).capacity;
  const std::size_t used = lanes_[side].bytes.size();
  return capacity > used ? capacity - used : 0;
}

void Connection::write(int side, ByteView bytes) {
  RONDO_ASSERT(bytes.size() <= space(side), "sim: more was sent than the pipe has room for");
  // What went before may have been answered by a reset: the rest is lost on the way.
  if (ends_[side].dead) return;
  const SimLink& link = world_.network().link(ends_[0].host, ends_[1].host);
  if (kind_ == Kind::tcp && world_.chance("reset", link.reset_per_mille)) return reset();
  if (world_.chance("black hole", link.black_hole_per_mille)) lanes_[side].hole = true;
  lanes_[side].bytes.push(bytes);
  std::size_t left = bytes.size();
  if (left > 1 && world_.chance("cut", link.cut_per_mille)) {
    const std::size_t first = 1 + world_.choose(Random::k_network, "cut at", left - 1);
    post(side, first, Segment::data);
    if (ends_[side].dead) return;
    left -= first;
  }
  post(side, left, Segment::data);
}

void Connection::read(int side, ByteSpan into) {
  Lane& lane = lanes_[1 - side];
  RONDO_ASSERT(into.size() <= lane.readable, "sim: more was read than has arrived");
  lane.bytes.pop(into);
  lane.readable -= into.size();
  touch(1 - side);  // There is room again.
}

int Connection::receive_state(int side) {
  End& end = ends_[side];
  if (end.error != 0) return -std::exchange(end.error, 0);
  return has_ended(side) ? 0 : 1;
}

bool Connection::has_ended(int side) const noexcept {
  const End& end = ends_[side];
  return end.dead || end.read_shut || lanes_[1 - side].fin_arrived;
}

int Connection::send_state(int side) {
  End& end = ends_[side];
  if (end.error != 0) return -std::exchange(end.error, 0);
  if (end.dead || lanes_[side].fin_sent) return -EPIPE;
  // Within one host the kernel knows at once that the reader has gone.
  if (kind_ != Kind::tcp && ends_[1 - side].closed) return -EPIPE;
  return 0;
}

void Connection::shut_write(int side) {
  if (std::exchange(lanes_[side].fin_sent, true)) return;
  if (!ends_[side].dead) post(side, 0, Segment::fin);
  touch(side);
}

void Connection::shut_read(int side) {
  ends_[side].read_shut = true;
  touch(side);
}

void Connection::close(int side) {
  End& end = ends_[side];
  if (std::exchange(end.closed, true)) return;
  end.socket = nullptr;
  const bool unread = lanes_[1 - side].readable > 0;
  drop_unread(side);
  if (!end.dead) {
    // Bytes that nobody read are told to their sender as a reset, not as an orderly end.
    if (unread && kind_ != Kind::pipe) {
      post(side, 0, Segment::reset);
    } else {
      shut_write(side);
    }
  }
  touch(1 - side);
}

void Connection::vanish(int side) {
  ends_[side].closed = true;
  ends_[side].socket = nullptr;
  ends_[side].dead = true;
  drop_unread(side);
  // What it had not yet sent goes with it; what is on the way may still arrive.
}

void Connection::drop_unread(int side) {
  Lane& lane = lanes_[1 - side];
  while (lane.readable > 0) {
    std::byte dropped[4'096];
    const std::size_t size = std::min(lane.readable, sizeof(dropped));
    lane.bytes.pop(ByteSpan(dropped, size));
    lane.readable -= size;
  }
}

void Connection::reset() {
  fail(0, ECONNRESET);
  fail(1, ECONNRESET);
}

void Connection::fail(int side, int error) {
  End& end = ends_[side];
  if (end.dead) return;
  end.dead = true;
  if (!end.closed) {
    // Linux: a reset after the peer's orderly end is a broken pipe (tcp_reset, CLOSE_WAIT).
    const bool half_closed = lanes_[1 - side].fin_arrived && error == ECONNRESET;
    end.error = half_closed ? EPIPE : error;
  }
  // Nothing more leaves from here.
  Lane& lane = lanes_[side];
  lane.in_flight.clear();
  lane.bytes.truncate(lane.readable);
  world_.record(static_cast<std::uint64_t>(end.host), 0x1000 + id_,
                static_cast<std::uint64_t>(error));
  touch(side);
}

void Connection::stall(Duration time) {
  for (int side = 0; side < 2; ++side) {
    const std::int64_t until = world_.now() + time.count();
    Lane& lane = lanes_[side];
    lane.last_arrival = std::max(lane.last_arrival, until);
    for (InFlight& segment : lane.in_flight) segment.time = std::max(segment.time, until);
  }
}

void Connection::black_hole(int side) { lanes_[side].hole = true; }

void Connection::kick() {
  for (int side = 0; side < 2; ++side) {
    Lane& lane = lanes_[side];
    lane.hole = false;
    if (!std::exchange(lane.held, false) || lane.in_flight.empty()) continue;
    const SimLink& link = world_.network().link(ends_[0].host, ends_[1].host);
    const std::int64_t soonest = world_.now() + link.latency.count();
    for (InFlight& segment : lane.in_flight) segment.time = std::max(segment.time, soonest);
    lane.last_arrival = std::max(lane.last_arrival, soonest);
    schedule(side);
  }
}

bool Connection::is_blocked(int side) const {
  return lanes_[side].hole ||
         (kind_ == Kind::tcp && world_.network().blocked(ends_[side].host, ends_[1 - side].host));
}

std::int64_t Connection::arrival_time(int side, std::size_t size) {
  if (kind_ == Kind::pipe) return world_.now();
  Lane& lane = lanes_[side];
  const SimLink& link = world_.network().link(ends_[0].host, ends_[1].host);
  std::int64_t time = world_.now();
  if (link.bandwidth != 0) {
    lane.line_free = std::max(lane.line_free, time) +
                     static_cast<std::int64_t>(size * 1'000'000'000ULL / link.bandwidth);
    time = lane.line_free;
  }
  const auto up_to = [&](const char* site, Duration most) {
    return static_cast<std::int64_t>(
        world_.choose(Random::k_network, site, static_cast<std::uint64_t>(most.count()) + 1));
  };
  time += link.latency.count();
  if (link.jitter.count() > 0) time += up_to("jitter", link.jitter);
  if (world_.chance("coalesce", link.coalesce_per_mille)) time += up_to("wait", k_coalesce_max);
  if (world_.chance("stall", link.stall_per_mille)) time += up_to("stalled", link.stall_max);
  return std::max(time, lane.last_arrival);
}

void Connection::post(int side, std::size_t size, Segment what) {
  Lane& lane = lanes_[side];
  const InFlight segment{arrival_time(side, size), size, what};
  lane.last_arrival = segment.time;
  if (lane.in_flight.empty() && segment.time <= world_.now() && !is_blocked(side)) {
    return arrive(side, segment);
  }
  lane.in_flight.push_back(segment);
  if (lane.in_flight.size() == 1) schedule(side);
}

void Connection::schedule(int side) {
  world_.at(lanes_[side].in_flight.front().time, [self = weak_from_this(), side] {
    if (const auto alive = self.lock()) alive->deliver(side);
  });
}

void Connection::deliver(int side) {
  Lane& lane = lanes_[side];
  // A failed direction has lost its segments; one that was kicked or stalled has a later event.
  if (lane.in_flight.empty() || lane.held) return;
  while (!lane.in_flight.empty() && lane.in_flight.front().time <= world_.now()) {
    if (is_blocked(side)) {
      lane.held = true;
      return give_up_later(side);
    }
    const InFlight segment = lane.in_flight.front();
    lane.in_flight.pop_front();
    arrive(side, segment);
  }
  if (!lane.in_flight.empty()) schedule(side);
}

void Connection::arrive(int side, const InFlight& segment) {
  const int reader = 1 - side;
  Lane& lane = lanes_[side];
  ++lane.delivered;
  world_.record(static_cast<std::uint64_t>(ends_[reader].host), 0x2000 + id_, segment.size);
  switch (segment.what) {
    case Segment::fin:
      lane.fin_arrived = true;
      break;
    case Segment::reset:
      return fail(reader, ECONNRESET);
    case Segment::data:
      lane.readable += segment.size;
      if (ends_[reader].closed) drop_unread(reader);
      // Data for a socket that is gone is answered by a reset.
      if (ends_[reader].closed || ends_[reader].dead) return post(reader, 0, Segment::reset);
      break;
  }
  touch(reader);
}

void Connection::give_up_later(int side) {
  const std::int64_t time = world_.now() + k_give_up.count();
  world_.at(time, [self = weak_from_this(), side, delivered = lanes_[side].delivered] {
    const auto alive = self.lock();
    if (!alive || !alive->lanes_[side].held) return;
    if (alive->lanes_[side].delivered == delivered) alive->fail(side, ETIMEDOUT);
  });
}

}  // namespace rondo::io::sim
