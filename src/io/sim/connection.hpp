// SPDX-License-Identifier: Apache-2.0
// Connection: two directions of bytes between two sockets, with everything that can go wrong.
//
// Bytes written by side s stand in direction s in order: the first `readable` of them have
// arrived, the others are in flight as segments, each with the instant of its arrival. The end
// of a direction and a reset are segments too, so that they never overtake data. Only the first
// segment of a direction has an event; when the way is cut it is held and kick() tries again.
// A side ends as Linux ends it: data that arrived is readable before an error, the error is
// told once, then receives yield 0 and sends EPIPE.
// Lifetime: shared by its two sockets and the events under way. Thread rule: the world's thread.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>

#include "io/sim/byte_queue.hpp"
#include "io/sim/endpoint.hpp"
#include "rondo/base/bytes.hpp"
#include "rondo/base/time.hpp"

namespace rondo::io::sim {

class World;

/// Whoever waits at one end; touch() says that something may have changed.
class Socket {
 public:
  virtual void touch() = 0;

 protected:
  ~Socket() = default;
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  enum class Kind : std::uint8_t { tcp, local, pipe };

  Connection(World& world, Kind kind, std::uint64_t id, int host_0, int host_1);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Bytes that send would take now.
  std::size_t space(int side) const;
  /// Takes `bytes`, of which there must be room for.
  void write(int side, ByteView bytes);
  std::size_t readable(int side) const noexcept { return lanes_[1 - side].readable; }
  void read(int side, ByteSpan into);

  /// What recv has to say when nothing is readable: 0 at the end, a negated errno (told once),
  /// 1 when it has to wait.
  int receive_state(int side);
  /// What send has to say: a negated errno (told once, then EPIPE), or 0.
  int send_state(int side);
  /// Without taking the error: for poll.
  bool has_ended(int side) const noexcept;
  bool is_broken(int side) const noexcept { return ends_[side].dead || ends_[side].error != 0; }

  void shut_write(int side);
  void shut_read(int side);
  void close(int side);
  /// The side goes without a word: its host lost power.
  void vanish(int side);
  /// Both sides see a reset now.
  void reset();
  /// Nothing arrives for `time`, both ways.
  void stall(Duration time);
  /// Nothing that `side` writes arrives any more.
  void black_hole(int side);
  /// Held segments try again.
  void kick();

  void attach(int side, Socket* socket) noexcept { ends_[side].socket = socket; }
  bool is_over() const noexcept { return ends_[0].closed && ends_[1].closed; }
  bool is_closed(int side) const noexcept { return ends_[side].closed; }
  int host(int side) const noexcept { return ends_[side].host; }
  Kind kind() const noexcept { return kind_; }
  std::uint64_t id() const noexcept { return id_; }

  Endpoint local[2];  ///< the own name of each side
  Endpoint peer[2];   ///< what each side calls the other

 private:
  enum class Segment : std::uint8_t { data, fin, reset };
  struct InFlight {
    std::int64_t time;
    std::size_t size;
    Segment what;
  };
  struct Lane {  // One direction.
    ByteQueue bytes;
    std::size_t readable = 0;
    std::deque<InFlight> in_flight;
    std::int64_t last_arrival = 0;
    std::int64_t line_free = 0;   // Bandwidth: when the line takes the next byte.
    std::uint64_t delivered = 0;  // Segments; tells one held head from another.
    bool fin_sent = false;
    bool fin_arrived = false;
    bool held = false;
    bool hole = false;
  };
  struct End {
    Socket* socket = nullptr;
    int host = 0;
    int error = 0;      // Positive errno, not yet told.
    bool dead = false;  // Reset or timed out.
    bool closed = false;
    bool read_shut = false;
  };

  void post(int side, std::size_t size, Segment what);
  std::int64_t arrival_time(int side, std::size_t size);
  void schedule(int side);
  void deliver(int side);
  void arrive(int side, const InFlight& segment);
  void fail(int side, int error);
  void drop_unread(int side);
  void give_up_later(int side);
  void touch(int side) {
    if (ends_[side].socket) ends_[side].socket->touch();
  }
  bool is_blocked(int side) const;

  World& world_;
  Kind kind_;
  std::uint64_t id_;
  Lane lanes_[2];
  End ends_[2];
};

}  // namespace rondo::io::sim
