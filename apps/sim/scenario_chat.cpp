// SPDX-License-Identifier: Apache-2.0
// `chat`: one host runs the real hub and SQLite log behind the lines door, others are clients.
//
// Ten minutes with a nemesis, then all faults off: within a minute everybody must be connected
// and have everything. Here the database file is real, in memory where there is such a folder.
//
// `chat-crash`: the same on the simulated disk, and the server's process or its power ends at a
// drawn call to the disk: between a write and its sync, too. The disk also fails and fills up.
// Where syncs fail, only the power goes: a process that is started again on what its kernel
// believes to be written, and is not, trusts what no database can know to be lost.
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <optional>

#include "chat/server/doors.hpp"
#include "chat/server/log.hpp"
#include "rondo/base/log.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/core/sleep.hpp"
#include "rondo/testing/sim_world.hpp"
#include "sim/chat_client.hpp"
#include "sim/chat_history.hpp"
#include "sqlite/tests/sim_vfs.hpp"

namespace rondo::sim {

namespace {

using namespace std::chrono_literals;
using testing::SimWorld;

constexpr Duration k_faulty_time = 10min;
constexpr Duration k_recovery_max = 60s;

unsigned long g_errors = 0;  // The log's sink is a plain function.

void count_errors(LogLevel level, std::string_view) {
  if (level == LogLevel::error) ++g_errors;
}

/// The folder of one run, empty; removed at the end.
class Folder {
 public:
  Folder() {
    namespace fs = std::filesystem;
    const char* memory = "/dev/shm";
    const fs::path base =
        ::access(memory, W_OK) == 0 ? fs::path(memory) : fs::temp_directory_path();
    path_ = base / ("rondo-sim-" + std::to_string(::getpid()));
    fs::remove_all(path_);
    fs::create_directories(path_);
  }
  Folder(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;  // What is left there is overwritten by the next run.
    std::filesystem::remove_all(path_, ignored);
  }
  std::string file(const char* name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

struct ServerPlan {
  std::string file;
  std::string vfs;
  std::size_t send_limit = 0;
};

/// False when the data could not be opened: whoever watches over a server starts it again.
Task<bool> serve_once(const ServerPlan& plan) {
  auto log = co_await chat::EventLog::open(plan.file, plan.vfs);
  if (!log) co_return false;
  chat::Hub hub(**log, {.send_limit = plan.send_limit});
  bool good = false;
  co_await with_scope([&](Scope& writer) -> Task<> {
    writer.start(Named{"writer"}, [](chat::EventLog& at) { return at.run(); }, std::ref(**log));
    good = (co_await hub.make_room("lobby")).has_value();
    if (!good) co_return (*log)->close();
    auto listener = tcp::listen({.address = "0.0.0.0:5556"}).or_throw();
    co_await chat::run_lines_door(hub, listener);
    hub.flush_reads();
    (*log)->close();
  });
  co_return good;
}

Task<> serve(ServerPlan plan) {
  while (!co_await serve_once(plan)) {
    if (plan.vfs.empty()) log(LogLevel::error, "the database cannot be opened");
    co_await sleep_for(500ms);
  }
}

enum Fault : unsigned {
  k_partition,
  k_one_way,
  k_cut,
  k_black_hole,
  k_stall,
  k_half_close,
  k_reset,
  k_client_crash,
  k_clock_jump,
  k_server_crash,
  k_power_off,
  k_faults
};

class ChatRun {
 public:
  enum class Storage : std::uint8_t { file, disk };

  ChatRun(std::uint64_t seed, Storage storage)
      : storage_(storage),
        dice_(seed, 0),
        disk_dice_(seed, 7),
        history_(outcome_),
        world_({.seed = seed, .faults = faults_of(seed, storage)}) {
    const std::size_t limits[] = {0, 20, 10};
    testing::SimHost& server = world_.host("server", "10.0.0.1");
    ServerPlan plan{
        .file = folder_.file("chat.db"), .vfs = {}, .send_limit = limits[dice_.below(3)]};
    if (storage_ == Storage::disk) {
      vfs_.emplace(server.disk());
      plan.file = "/chat.db";
      plan.vfs = vfs_->name();
    }
    server.start([plan] { return serve(plan); });
    add_clients(seed);
    kinds_ = static_cast<unsigned>(dice_.below(1U << k_faults));  // Swarm: about half are on.
  }

  Outcome run() {
    while (world_.now() < k_faulty_time) {
      world_.run_for(dice_.moment(2s, 40s));
      if (storage_ == Storage::disk && disk_dice_.below(3) < 2)
        strike_server();
      else
        strike();
    }
    world_.calm();
    for (const auto& client : clients_) client->rest();
    add_auditor();
    if (world_.run_until([this] { return everybody_has_everything(); }, k_recovery_max)) {
      world_.run_for(5s);
    }
    if (!everybody_has_everything()) complain();
    history_.finish();
    outcome_.hash = world_.trace_hash() ^ history_.digest();
    outcome_.note = summary();
    return std::move(outcome_);
  }

 private:
  /// Reads do not fail: who cannot read what was stored has lost nothing, but cannot go on.
  static io::SimFaults faults_of(std::uint64_t seed, Storage storage) {
    io::SimFaults faults = io::SimFaults::draw(seed);
    if (storage == Storage::disk) faults.disk = io::SimDiskFaults::draw(seed);
    faults.disk.read_error_per_mille = 0;
    faults.disk.open_limit_per_mille = 0;
    return faults;
  }
  static std::string name(std::size_t client) { return "client" + std::to_string(client); }

  void add_clients(std::uint64_t seed) {
    const char* names[] = {"Ada", "Grace", "Edsger"};
    const char* rooms[] = {"lobby", "dev", "ops"};
    const std::uint64_t count = 3 + dice_.below(6);
    const std::uint64_t busy_ms = 500 + dice_.below(8'000);
    for (std::uint64_t i = 0; i < count; ++i) {
      ClientPlan plan{.seed = seed, .name = names[dice_.below(3)], .rooms = {}};
      plan.rooms.emplace_back(rooms[0]);
      for (int room = 1; room < 3; ++room) {
        if (dice_.one_in(2)) plan.rooms.emplace_back(rooms[room]);
      }
      plan.pause_max = std::chrono::milliseconds(busy_ms);
      if (dice_.one_in(3)) plan.nap_max = dice_.moment(1s, 10s);
      plan.body_max = dice_.one_in(4) ? 16'000 : 200;
      plan.speaks = !dice_.one_in(6);
      plan.disk_fails = storage_ == Storage::disk;
      add_client(std::move(plan));
    }
  }
  void add_client(ClientPlan plan) {
    const std::size_t index = clients_.size();
    clients_.push_back(
        std::make_unique<ChatClient>(static_cast<int>(index), std::move(plan), history_));
    ChatClient& client = *clients_.back();
    world_.host(name(index), "10.0.1." + std::to_string(index + 1)).start([&client] {
      return client.run();
    });
  }
  /// Somebody new, who asks for all of history: what is stored is what was seen.
  void add_auditor() {
    ClientPlan plan{.seed = world_.seed(), .name = "Auditor", .rooms = {"lobby", "dev", "ops"}};
    plan.speaks = false;
    add_client(std::move(plan));
    clients_.back()->read_from_start();
    clients_.back()->rest();
  }

  void strike() {
    const auto kind = static_cast<Fault>(dice_.below(k_faults));
    const std::string client = name(dice_.below(clients_.size()));
    if ((kinds_ >> kind & 1U) == 0) return;
    ++strikes_;
    apply(kind, client);
    world_.run_for(dice_.moment(100ms, 20s));
    world_.heal();
    for (const std::string& host : {std::string("server"), client}) {
      if (!world_.host(host).is_up()) world_.restart(host);
    }
  }
  void apply(Fault kind, const std::string& client) {
    switch (kind) {
      case k_partition:
        return world_.partition("server", client);
      case k_one_way:
        return dice_.one_in(2) ? world_.partition_one_way("server", client)
                               : world_.partition_one_way(client, "server");
      case k_cut:
        return world_.cut("server", client);
      case k_black_hole:
        return dice_.one_in(2) ? world_.black_hole("server", client)
                               : world_.black_hole(client, "server");
      case k_stall:
        return world_.stall("server", client, dice_.moment(1s, 30s));
      case k_half_close:
        return dice_.one_in(2) ? world_.half_close("server", client)
                               : world_.half_close(client, "server");
      case k_reset:
        return world_.reset_connections("server", client);
      case k_client_crash:
        return world_.crash(client);
      case k_clock_jump:
        return world_.host("server").jump_wall_clock(dice_.moment(-1h, 1h));
      case k_server_crash:
        return faults_of(world_.seed(), storage_).disk.sync_error_per_mille > 0
                   ? world_.power_off("server")
                   : world_.crash("server");
      case k_power_off:
        return world_.power_off("server");
      case k_faults:
        return;
    }
  }

  /// At a drawn call to its disk, the server's process or power ends; or the disk is full.
  void strike_server() {
    ++strikes_;
    testing::SimDisk disk = world_.host("server").disk();
    const io::SimFaults before = faults_of(world_.seed(), storage_);
    const bool power_only = before.disk.sync_error_per_mille > 0;
    if (disk_dice_.one_in(6)) {
      io::SimFaults full = before;
      full.disk.size = disk.used_bytes() + disk_dice_.below(30'000);
      world_.set_faults(full);
    } else {
      armed_ = true;
      disk.before_call(1 + disk_dice_.below(120),
                       [this, power = power_only || disk_dice_.one_in(2)] {
                         if (!armed_) return;
                         ++crashes_;
                         power ? world_.power_off("server") : world_.crash("server");
                       });
    }
    world_.run_for(disk_dice_.moment(100ms, 20s));
    armed_ = false;
    world_.set_faults(before);
    if (!world_.host("server").is_up()) world_.restart("server");
  }

  bool everybody_has_everything() const {
    for (const auto& client : clients_) {
      if (!client->is_settled()) return false;
      for (const char* room : {"lobby", "dev", "ops"}) {
        const Seq last = client->last(room);
        if (last >= 0 && last != clients_.back()->last(room)) return false;
      }
    }
    return true;
  }
  std::string summary() const {
    std::uint64_t connections = 0;
    for (const auto& client : clients_) connections += client->connections();
    const Seq stored = history_.head("lobby") + history_.head("dev") + history_.head("ops");
    return std::to_string(clients_.size()) + " clients, " + std::to_string(connections) +
           " connections, " + std::to_string(stored) + " stored, " +
           std::to_string(history_.acks()) + " acks (" + std::to_string(history_.repeats()) +
           " repeats), " + std::to_string(history_.events()) + " events seen, " +
           std::to_string(strikes_) + " strikes, " + std::to_string(crashes_) +
           " crashes at the disk";
  }
  void complain() {
    outcome_.fail("not everybody has everything a minute after the last fault");
    for (const auto& client : clients_) outcome_.fail(client->describe());
  }

  Folder folder_;
  Outcome outcome_;
  Storage storage_;
  Dice dice_;
  Dice disk_dice_;
  History history_;
  std::vector<std::unique_ptr<ChatClient>> clients_;
  unsigned kinds_ = 0;
  unsigned strikes_ = 0;
  unsigned crashes_ = 0;
  bool armed_ = false;
  std::optional<sqlite::SimVfs> vfs_;
  SimWorld world_;  // Last: its tasks refer to all of the above.
};

}  // namespace

namespace {

Outcome run_on(std::uint64_t seed, ChatRun::Storage storage) {
  g_errors = 0;
  const LogSink before = set_log_sink(count_errors);
  const long blocks = detail::FramePool::live;
  Outcome outcome = ChatRun(seed, storage).run();
  if (detail::FramePool::live > blocks) outcome.fail("frames or records leaked");
  set_log_sink(before);
  if (g_errors > 0 && storage == ChatRun::Storage::file) {
    outcome.fail(std::to_string(g_errors) + " errors were logged");
  }
  return outcome;
}

}  // namespace

Outcome run_chat(std::uint64_t seed) { return run_on(seed, ChatRun::Storage::file); }
Outcome run_chat_crash(std::uint64_t seed) { return run_on(seed, ChatRun::Storage::disk); }

}  // namespace rondo::sim
