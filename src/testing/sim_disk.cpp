// SPDX-License-Identifier: Apache-2.0
#include "rondo/testing/sim_disk.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "io/sim/world.hpp"

namespace rondo::testing {

using io::sim::Disk;
using io::sim::Inode;
using io::sim::InodePtr;
using io::sim::OpenFile;

namespace {

Error error_of(std::int32_t result, const char* operation, std::string_view path) {
  return Error::from_errno(-result, operation, path);
}

/// No fault strikes the test itself.
class WithoutFaults {
 public:
  explicit WithoutFaults(io::sim::World& world) : world_(world), before_(world.faults().disk) {
    world_.set_disk_faults({});
  }
  WithoutFaults(const WithoutFaults&) = delete;
  ~WithoutFaults() { world_.set_disk_faults(before_); }

 private:
  io::sim::World& world_;
  io::SimDiskFaults before_;
};

std::string content_of(const Inode& file, bool durable) {
  const auto& pages = durable ? file.durable_pages : file.pages;
  std::string text(durable ? file.durable_size : file.size, '\0');
  for (const auto& [page, bytes] : pages) {
    const std::uint64_t at = page * io::sim::k_page_size;
    if (at >= text.size()) continue;
    text.replace(at, std::min<std::uint64_t>(io::sim::k_page_size, text.size() - at),
                 reinterpret_cast<const char*>(bytes.data()),
                 std::min<std::uint64_t>(io::sim::k_page_size, text.size() - at));
  }
  return text;
}

void collect(const InodePtr& directory, const std::string& path, bool durable,
             std::vector<SimFileContent>& into) {
  for (const auto& [name, inode] : durable ? directory->durable_names : directory->names) {
    const std::string below = path + "/" + name;
    if (inode->is_directory()) {
      collect(inode, below, durable, into);
    } else if (inode->type == io::FileType::regular) {
      into.push_back({below, content_of(*inode, durable)});
    }
  }
}

}  // namespace

// --- SimFile ---

struct SimFile::State {
  Disk* disk;
  OpenFile file;
  std::uint64_t process;

  /// Counts the call; the process may be gone, before it or because of it.
  bool is_void() {
    if (disk->process() == process) disk->step();
    return disk->process() != process;
  }
  template <class F>
  Result<std::size_t> call(const char* operation, F&& use) {
    const std::int32_t result = is_void() ? -ENETDOWN : use();
    if (result < 0) return error_of(result, operation, {});
    return static_cast<std::size_t>(result);
  }
  template <class F>
  Result<> call_void(const char* operation, F&& use) {
    auto done = call(operation, std::forward<F>(use));
    if (!done) return done.error();
    return {};
  }
};

SimFile::SimFile(Owned<State> state) : state_(std::move(state)) {}
SimFile::SimFile(SimFile&&) noexcept = default;
SimFile& SimFile::operator=(SimFile&&) noexcept = default;
SimFile::~SimFile() = default;

Result<std::size_t> SimFile::read(ByteSpan into, std::uint64_t offset) {
  return state_->call("read", [&] {
    return state_->disk->read(state_->file, into, static_cast<std::int64_t>(offset));
  });
}
Result<std::size_t> SimFile::write(ByteView from, std::uint64_t offset) {
  return state_->call("write", [&] {
    return state_->disk->write(state_->file, from, static_cast<std::int64_t>(offset));
  });
}
Result<> SimFile::truncate(std::uint64_t size) {
  return state_->call_void("truncate", [&] { return state_->disk->truncate(state_->file, size); });
}
Result<> SimFile::sync() {
  return state_->call_void("fsync", [&] { return state_->disk->sync(state_->file); });
}
std::uint64_t SimFile::size() const noexcept { return state_->file.inode->size; }
std::uint64_t SimFile::inode() const noexcept { return state_->file.inode->number; }
std::uint64_t SimFile::process() const noexcept { return state_->process; }

// --- SimDisk ---

Result<> SimDisk::done(std::int32_t result, const char* operation, std::string_view path) const {
  if (result < 0) return error_of(result, operation, path);
  return {};
}

Result<> SimDisk::make_directory(std::string_view path) {
  auto made = done(host_->disk->make_directory(path, 0777), "mkdir", path);
  if (made) host_->disk->sync_all();
  return made;
}

Result<> SimDisk::write_file(std::string_view path, std::string_view content) {
  const WithoutFaults calm(*world_);
  OpenFile file;
  const std::int32_t opened = host_->disk->open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666, file);
  if (opened < 0) return error_of(opened, "open", path);
  for (std::size_t at = 0; at < content.size();) {
    const std::int32_t wrote = host_->disk->write(file, as_bytes(content.substr(at)), -1);
    if (wrote < 0) return error_of(wrote, "write", path);
    at += static_cast<std::size_t>(wrote);
  }
  return done(host_->disk->sync(file), "fsync", path);
}

Result<std::string> SimDisk::read_file(std::string_view path) const {
  const WithoutFaults calm(*world_);
  OpenFile file;
  const std::int32_t opened = host_->disk->open(path, O_RDONLY, 0, file);
  if (opened < 0) return error_of(opened, "open", path);
  if (file.inode->is_directory()) return error_of(-EISDIR, "read", path);
  return content_of(*file.inode, false);
}

bool SimDisk::exists(std::string_view path) const {
  io::FileStatus found;
  return host_->disk->status(path, true, found) == 0;
}

std::vector<SimFileContent> SimDisk::snapshot(View view) const {
  std::vector<SimFileContent> files;
  collect(host_->disk->root(), "", view == View::durable, files);
  return files;
}

Result<SimFile> SimDisk::open(std::string_view path, int flags) {
  auto state = std::make_unique<SimFile::State>(host_->disk.get(), OpenFile{}, process());
  const auto& faults = world_->faults().disk;
  std::int32_t result = -ENETDOWN;
  if (!state->is_void()) {
    const bool full = world_->disk_chance("open limit", faults.open_limit_per_mille);
    result = full ? -EMFILE : host_->disk->open(path, flags, 0644, state->file);
  }
  if (result < 0) return error_of(result, "open", path);
  return SimFile(std::move(state));
}

Result<> SimDisk::remove(std::string_view path) {
  const std::uint64_t caller = process();
  host_->disk->step();
  if (process() != caller) return error_of(-ENETDOWN, "unlink", path);
  return done(host_->disk->unlink(path, false), "unlink", path);
}

Result<> SimDisk::sync_directory(std::string_view path) {
  auto directory = open(path, O_RDONLY | O_DIRECTORY);
  if (!directory) return directory.error();
  return directory->sync();
}

void SimDisk::before_call(std::uint64_t count, MoveFn<void()> action) {
  host_->disk->before_call(count, std::move(action));
}
std::uint64_t SimDisk::calls() const noexcept { return host_->disk->calls(); }
std::uint64_t SimDisk::unsynced_pages() const { return host_->disk->unsynced_pages(); }
std::uint64_t SimDisk::used_bytes() const noexcept { return host_->disk->used_bytes(); }
std::uint64_t SimDisk::process() const noexcept { return host_->disk->process(); }

void SimDisk::random(ByteSpan into) {
  for (std::byte& byte : into) {
    byte = static_cast<std::byte>(world_->choose(io::sim::Random::k_disk, "random", 256));
  }
}

std::int64_t SimDisk::wall_ns() const noexcept { return world_->wall_time(*host_); }

}  // namespace rondo::testing
