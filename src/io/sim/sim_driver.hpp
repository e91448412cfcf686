// SPDX-License-Identifier: Apache-2.0
// SimDriver: a Driver that is a simulation. Virtual time, an in-memory network, every order and
// every fault drawn from one seed.
//
//   auto driver = make_sim_driver({.seed = 42});                       // one host, its own world
//   SimDriver server(world, world.add_host("server", {"10.0.0.1"}));   // several in one world
//
// Alone, wait(block) moves the clock itself; as one of several (`stepped`), it never does: the
// owner of the World runs the loops while has_work() and moves the clock between.
// Descriptors are numbers far above any the kernel gives out, so that close(2) of one is harmless
// and a number that crosses to another host is -EBADF there.
// Submitted operations take effect at once (data moves in the next wait()); completions wait in
// `due_` and are delivered by wait() only. An operation whose terminal completion stands in due_
// is *settled*: cancel() finds nothing to do, data wins.
// Thread rule: the world's thread, except wake().
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/sim/child.hpp"
#include "io/sim/world.hpp"
#include "rondo/io/driver.hpp"
#include "rondo/io/file_ops.hpp"
#include "rondo/io/sim_faults.hpp"
#include "rondo/io/socket_ops.hpp"

namespace rondo::io {

struct SimDriverOptions {
  std::uint64_t seed = 0;
  SimFaults faults = {};
  std::string host = "local";
  std::vector<std::string> addresses = {"10.0.0.1", "fd00::1"};
  std::uint32_t buffer_count = 4'096;
  std::uint32_t buffer_size = 4'096;
};

/// A driver with a world of its own, in which it is the only host.
std::unique_ptr<Driver> make_sim_driver(const SimDriverOptions& options);

namespace sim {

struct Descriptor;

struct SimDriverSetup {
  std::uint32_t buffer_count = 4'096;
  std::uint32_t buffer_size = 4'096;
  std::size_t descriptors_max = 65'536;  ///< at the limit: -EMFILE
  bool stepped = false;                  ///< somebody else moves the clock
  int loop_index = 0;                    ///< which loop of its host's process it serves
};

class SimDriver final : public Driver {
 public:
  SimDriver(World& world, Host& host, const SimDriverSetup& setup);
  explicit SimDriver(const SimDriverOptions& options);
  ~SimDriver() override;

  void submit(Operation& op) override;
  void cancel(Operation& op) override;
  std::size_t wait(Wait how, TimePoint deadline) override;
  void wake() noexcept override { woken_.store(true, std::memory_order_release); }
  std::int64_t time(Clock clock) noexcept override;
  void random(ByteSpan into) noexcept override;
  Probe probe() const override;

  /// False: wait(block) moves the clock itself from now on.
  void set_stepped(bool stepped) noexcept { setup_.stepped = stepped; }
  /// Something would be delivered or returned by a wait() now.
  bool has_work() const noexcept;
  /// A signal for this host's process; kept until an operation takes it.
  void raise(int signal);
  /// Ends of a pipe: [0] reads, [1] writes. 0 or a negated errno.
  int make_pipe(int fds[2]);
  /// A descriptor that reads as ended and takes whatever is written.
  int open_null();
  /// Who plays the programs that are spawned here.
  void set_programs(Programs programs);
  /// Two connected stream sockets of this host.
  int make_pair(int fds[2]);
  enum class Crash : std::uint8_t {
    process,  ///< the kernel lives and closes everything: peers see ends and resets
    power,    ///< peers see silence until the host is back
  };
  /// semantics.md 37: what is in flight or submitted from now on is void: it does nothing and
  /// ends with -ENETDOWN (close with 0). What the disk keeps is its owner's to say, once for all
  /// loops of the process (Disk::end_process, Disk::lose_power). Not with -ECANCELED, which nobody
  /// asked for.
  void crash(Crash how);

  World& world() noexcept { return world_; }
  Host& host() noexcept { return host_; }
  std::size_t open_descriptors() const noexcept { return open_; }
  void touch(Descriptor& descriptor);

 private:
  struct Due {
    Operation* op;
    Completion done;
  };
  struct PendingJob {
    JobOp* op;
    std::int64_t time;
  };
  struct PendingName {
    ResolveOp* op;
    EventQueue::Id event;
  };

  struct PendingFile {
    Operation* op;
    int fd;
    EventQueue::Id event;
  };

  // Starting (sim_submit.cpp).
  void start(Operation& op);
  void start_on_descriptor(Operation& op, int fd);
  void start_connect(ConnectOp& op);
  void start_close(CloseOp& op);
  void start_signal(SignalOp& op);
  void start_job(JobOp& op);
  void start_resolve(ResolveOp& op);
  std::int32_t immediate(Operation& op);
  std::int32_t spawn(SpawnOp& op);
  std::int32_t kill_child(const KillChildOp& op);
  std::int32_t listen(ListenOp& op);
  std::int32_t shutdown(const ShutdownOp& op);
  std::int32_t socket_name(SocketNameOp& op);
  std::int32_t socket_option(SocketOptionOp& op);
  std::int32_t kept_option(Descriptor& descriptor, SocketOptionOp& op);
  std::int32_t refuse(const RefuseOp& op);
  std::int32_t look_up(ResolveOp& op);
  bool withdraw(Operation& op);
  bool withdraw_job(JobOp& op);

  // Files (sim_files.cpp).
  void handle_files() noexcept;
  void start_file(Operation& op);
  void run_file(Operation& op);
  std::int32_t on_disk(Operation& op);
  std::int32_t on_names(Operation& op);
  std::int32_t open_file(OpenOp& op);
  OpenFile* find_file(int fd) noexcept;
  bool withdraw_file(Operation& op);
  void end_files();

  // Datagrams (sim_datagrams.cpp).
  std::int32_t datagram_socket(const DatagramSocketOp& op);
  bool advance_send_datagram(Descriptor& descriptor, SendDatagramOp& op);
  bool advance_recv_message(Descriptor& descriptor, RecvMessageOp& op);
  std::int32_t mailbox_option(Mailbox& mailbox, SocketOptionOp& op);

  // Descriptors (sim_descriptors.cpp).
  Descriptor* find(int fd) noexcept;
  std::shared_ptr<Descriptor> open();
  int install(const std::shared_ptr<Connection>& connection, int side);
  void close(int fd);
  void close_all(bool silently);

  // Progress (sim_progress.cpp).
  void progress();
  void progress(Descriptor& descriptor);
  bool advance(Descriptor& descriptor, Operation& op);
  bool advance_accept(Descriptor& descriptor, AcceptOp& op);
  bool advance_recv(Descriptor& descriptor, RecvOp& op);
  bool advance_connect(Descriptor& descriptor, ConnectOp& op);
  bool advance_send(Descriptor& descriptor, Operation& op);
  bool advance_read(Descriptor& descriptor, ReadOp& op);
  bool advance_poll(Descriptor& descriptor, PollOp& op);
  bool advance_wait_child(Descriptor& descriptor, WaitChildOp& op);
  void arm_lane(std::uint32_t lane);
  void take_signals();
  bool interrupted(Operation& op);

  static std::int32_t void_result(OpKind kind) noexcept;

  // Completing (sim_driver.cpp).
  void record(OpKind kind, std::int32_t result);
  bool finish(Operation& op, std::int32_t result, std::uint16_t buffer = k_no_buffer);
  void give(Operation& op, std::int32_t result, std::uint16_t buffer);
  std::size_t deliver();
  void shuffle(std::vector<Due>& batch);
  std::size_t wait_alone(TimePoint deadline);
  [[noreturn]] void deadlock();
  void count_turn();

  std::unique_ptr<World> own_world_;
  World& world_;
  Host& host_;
  SimDriverSetup setup_;
  Random user_random_;
  int first_fd_;
  bool void_ = false;
  std::atomic<bool> woken_{false};
  std::size_t open_ = 0;
  std::size_t in_flight_ = 0;
  std::uint64_t idle_turns_ = 0;
  std::int64_t last_turn_ = 0;
  std::vector<std::shared_ptr<Descriptor>> descriptors_;
  std::deque<std::shared_ptr<Descriptor>> touched_;
  std::deque<Due> due_;
  std::vector<SignalOp*> signals_;
  std::uint64_t raised_ = 0;  // Bit n - 1 for signal n.
  std::map<std::uint32_t, std::deque<PendingJob>> lanes_;
  std::vector<PendingName> names_;
  std::vector<PendingFile> files_;
  Programs programs_;
  std::int32_t last_pid_ = 1'000;
  std::shared_ptr<SimDriver*> self_;  // Events hold it weakly: they may outlive the driver.
};

}  // namespace sim
}  // namespace rondo::io
