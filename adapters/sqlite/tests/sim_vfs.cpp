// SPDX-License-Identifier: Apache-2.0
// The methods SQLite calls, as https://www.sqlite.org/vfs.html and sqlite3.h describe them.
#include "sim_vfs.hpp"

#include <fcntl.h>
#include <sqlite3.h>

#include <array>
#include <cstring>
#include <map>
#include <new>
#include <utility>
#include <vector>

namespace rondo::sqlite {

namespace {

constexpr int k_sector = 512;  // The unit in which the simulated disk tears a page.

/// What the connections of one process to one database have in common.
struct Shared {
  int readers = 0;  ///< connections that hold SHARED or more
  const void* reserved = nullptr;
  const void* exclusive = nullptr;  ///< holds PENDING or EXCLUSIVE
  std::vector<std::unique_ptr<std::byte[]>> regions;
  struct Slot {
    int shared = 0;
    const void* exclusive = nullptr;
  };
  std::array<Slot, SQLITE_SHM_NLOCK> slots;
};

}  // namespace

struct SimVfs::State {
  explicit State(testing::SimDisk on) : disk(on) {}

  std::shared_ptr<Shared> shared(const std::string& path, std::uint64_t process) {
    auto& known = databases[{process, path}];
    auto found = known.lock();
    if (!found) known = found = std::make_shared<Shared>();
    return found;
  }

  testing::SimDisk disk;
  std::string name;
  std::uint64_t temporaries = 0;
  std::map<std::pair<std::uint64_t, std::string>, std::weak_ptr<Shared>> databases;
  sqlite3_vfs vfs{};
};

namespace {

struct Open {
  Open(SimVfs::State& in, testing::SimFile&& opened, std::string name)
      : state(in), file(std::move(opened)), path(std::move(name)) {}
  SimVfs::State& state;
  testing::SimFile file;
  std::string path;
  std::shared_ptr<Shared> shared;
  int lock = SQLITE_LOCK_NONE;
  bool delete_on_close = false;
  std::array<char, SQLITE_SHM_NLOCK> held{};  ///< 0, 's' or 'x' of each slot
};

struct File : sqlite3_file {
  Open* open;
};

Open& of(sqlite3_file* file) noexcept { return *static_cast<File*>(file)->open; }
SimVfs::State& of(sqlite3_vfs* vfs) noexcept { return *static_cast<SimVfs::State*>(vfs->pAppData); }

// --- Bytes ---

int read(sqlite3_file* file, void* into, int size, sqlite3_int64 offset) {
  ByteSpan left(static_cast<std::byte*>(into), static_cast<std::size_t>(size));
  auto at = static_cast<std::uint64_t>(offset);
  while (!left.empty()) {
    auto got = of(file).file.read(left, at);
    if (!got) return SQLITE_IOERR_READ;
    if (*got == 0) {
      std::memset(left.data(), 0, left.size());
      return SQLITE_IOERR_SHORT_READ;
    }
    at += *got;
    left = left.subspan(*got);
  }
  return SQLITE_OK;
}

int write(sqlite3_file* file, const void* from, int size, sqlite3_int64 offset) {
  ByteView left(static_cast<const std::byte*>(from), static_cast<std::size_t>(size));
  auto at = static_cast<std::uint64_t>(offset);
  while (!left.empty()) {
    auto wrote = of(file).file.write(left, at);
    if (!wrote) return wrote.error() == Errc::no_space ? SQLITE_FULL : SQLITE_IOERR_WRITE;
    at += *wrote;
    left = left.subspan(*wrote);
  }
  return SQLITE_OK;
}

int truncate(sqlite3_file* file, sqlite3_int64 size) {
  const auto done = of(file).file.truncate(static_cast<std::uint64_t>(size));
  return done ? SQLITE_OK : SQLITE_IOERR_TRUNCATE;
}

int sync(sqlite3_file* file, int) { return of(file).file.sync() ? SQLITE_OK : SQLITE_IOERR_FSYNC; }

int file_size(sqlite3_file* file, sqlite3_int64* size) {
  *size = static_cast<sqlite3_int64>(of(file).file.size());
  return SQLITE_OK;
}

// --- Locks between connections ---

int unlock(sqlite3_file* file, int level) {
  Open& open = of(file);
  if (level >= open.lock) return SQLITE_OK;
  Shared& shared = *open.shared;
  if (shared.exclusive == &open) shared.exclusive = nullptr;
  if (level < SQLITE_LOCK_RESERVED && shared.reserved == &open) shared.reserved = nullptr;
  if (level == SQLITE_LOCK_NONE) --shared.readers;
  open.lock = level;
  return SQLITE_OK;
}

int lock(sqlite3_file* file, int level) {
  Open& open = of(file);
  if (level <= open.lock) return SQLITE_OK;
  Shared& shared = *open.shared;
  if (shared.exclusive && shared.exclusive != &open) return SQLITE_BUSY;
  if (level == SQLITE_LOCK_SHARED) {
    ++shared.readers;
    open.lock = level;
    return SQLITE_OK;
  }
  if (shared.reserved && shared.reserved != &open) return SQLITE_BUSY;
  if (level == SQLITE_LOCK_RESERVED) {
    shared.reserved = &open;
    open.lock = level;
    return SQLITE_OK;
  }
  shared.exclusive = &open;  // PENDING at least: nobody new may read.
  open.lock = shared.readers > 1 ? SQLITE_LOCK_PENDING : level;
  return open.lock == level ? SQLITE_OK : SQLITE_BUSY;
}

int check_reserved(sqlite3_file* file, int* is_reserved) {
  const Shared& shared = *of(file).shared;
  *is_reserved = shared.reserved != nullptr || shared.exclusive != nullptr;
  return SQLITE_OK;
}

// --- The WAL's shared memory ---

int map_region(sqlite3_file* file, int number, int size, int extend, void volatile** memory) {
  auto& regions = of(file).shared->regions;
  const auto index = static_cast<std::size_t>(number);
  *memory = nullptr;
  if (index >= regions.size() && !extend) return SQLITE_OK;
  while (regions.size() <= index) {
    regions.push_back(std::make_unique<std::byte[]>(static_cast<std::size_t>(size)));
  }
  *memory = regions[index].get();
  return SQLITE_OK;
}

void release_slot(Open& open, std::size_t slot) {
  char& held = open.held[slot];
  Shared::Slot& of_all = open.shared->slots[slot];
  if (held == 's') --of_all.shared;
  if (held == 'x') of_all.exclusive = nullptr;
  held = 0;
}

int lock_slots(sqlite3_file* file, int first, int count, int flags) {
  Open& open = of(file);
  const auto begin = static_cast<std::size_t>(first);
  const auto end = begin + static_cast<std::size_t>(count);
  if (flags & SQLITE_SHM_UNLOCK) {
    for (std::size_t slot = begin; slot < end; ++slot) release_slot(open, slot);
    return SQLITE_OK;
  }
  const bool exclusive = (flags & SQLITE_SHM_EXCLUSIVE) != 0;
  for (std::size_t slot = begin; slot < end; ++slot) {
    const Shared::Slot& of_all = open.shared->slots[slot];
    const int others = of_all.shared - (open.held[slot] == 's');
    if (of_all.exclusive && of_all.exclusive != &open) return SQLITE_BUSY;
    if (exclusive && others > 0) return SQLITE_BUSY;
  }
  for (std::size_t slot = begin; slot < end; ++slot) {
    release_slot(open, slot);
    open.held[slot] = exclusive ? 'x' : 's';
    if (exclusive)
      open.shared->slots[slot].exclusive = &open;
    else
      ++open.shared->slots[slot].shared;
  }
  return SQLITE_OK;
}

int unmap(sqlite3_file* file, int remove) {
  Open& open = of(file);
  for (std::size_t slot = 0; slot < open.held.size(); ++slot) release_slot(open, slot);
  if (remove) open.shared->regions.clear();
  return SQLITE_OK;
}

void barrier(sqlite3_file*) {}  // One thread: there is nothing to order.

// --- Files ---

int control(sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; }
int sector_size(sqlite3_file*) { return k_sector; }
/// As SQLite's own VFS says of every disk of Linux, and as it is true here: a torn write harms
/// nothing beside itself. Without it the log is padded behind its sync, and a failed sync that
/// drops pages takes padding that nobody writes again: acknowledged commits behind it are lost.
int characteristics(sqlite3_file*) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; }

int close(sqlite3_file* file) {
  Open* open = &of(file);
  unlock(file, SQLITE_LOCK_NONE);
  unmap(file, 0);
  const bool alive = open->file.process() == open->state.disk.process();
  // A temporary file that stays is garbage, no fault.
  if (open->delete_on_close && alive) (void)open->state.disk.remove(open->path);
  delete open;
  static_cast<File*>(file)->open = nullptr;
  return SQLITE_OK;
}

sqlite3_io_methods make_methods() {
  sqlite3_io_methods methods{};
  methods.iVersion = 2;
  methods.xClose = close;
  methods.xRead = read;
  methods.xWrite = write;
  methods.xTruncate = truncate;
  methods.xSync = sync;
  methods.xFileSize = file_size;
  methods.xLock = lock;
  methods.xUnlock = unlock;
  methods.xCheckReservedLock = check_reserved;
  methods.xFileControl = control;
  methods.xSectorSize = sector_size;
  methods.xDeviceCharacteristics = characteristics;
  methods.xShmMap = map_region;
  methods.xShmLock = lock_slots;
  methods.xShmBarrier = barrier;
  methods.xShmUnmap = unmap;
  return methods;
}

int flags_of(int flags) {
  int result = (flags & SQLITE_OPEN_READWRITE) != 0 ? O_RDWR : O_RDONLY;
  if (flags & SQLITE_OPEN_CREATE) result |= O_CREAT;
  if (flags & SQLITE_OPEN_EXCLUSIVE) result |= O_EXCL;
  return result;
}

int open_file(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* got) {
  static const sqlite3_io_methods methods = make_methods();
  file->pMethods = nullptr;  // SQLite closes only what was opened.
  SimVfs::State& state = of(vfs);
  std::string path = name ? name : "/tmp/sqlite-" + std::to_string(++state.temporaries);
  auto opened = state.disk.open(path, flags_of(flags));
  if (!opened) return SQLITE_CANTOPEN;
  auto* open = new (std::nothrow) Open(state, std::move(*opened), std::move(path));
  if (!open) return SQLITE_NOMEM;
  open->delete_on_close = (flags & SQLITE_OPEN_DELETEONCLOSE) != 0;
  open->shared = state.shared(open->path, open->file.process());
  static_cast<File*>(file)->open = open;
  file->pMethods = &methods;
  if (got) *got = flags;
  return SQLITE_OK;
}

int remove(sqlite3_vfs* vfs, const char* name, int sync_directory) {
  SimVfs::State& state = of(vfs);
  const std::string path(name);
  if (auto removed = state.disk.remove(path); !removed) {
    const bool missing = removed.error() == Errc::no_such_file;
    return missing ? SQLITE_IOERR_DELETE_NOENT : SQLITE_IOERR_DELETE;
  }
  if (!sync_directory) return SQLITE_OK;
  const std::string above = path.substr(0, path.rfind('/') + 1);
  return state.disk.sync_directory(above) ? SQLITE_OK : SQLITE_IOERR_DIR_FSYNC;
}

int access(sqlite3_vfs* vfs, const char* name, int, int* result) {
  *result = of(vfs).disk.exists(name);
  return SQLITE_OK;
}

int full_path(sqlite3_vfs*, const char* name, int size, char* into) {
  const std::string path = name[0] == '/' ? name : std::string("/") + name;
  if (path.size() >= static_cast<std::size_t>(size)) return SQLITE_CANTOPEN;
  std::memcpy(into, path.c_str(), path.size() + 1);
  return SQLITE_OK;
}

int randomness(sqlite3_vfs* vfs, int size, char* into) {
  of(vfs).disk.random(ByteSpan(reinterpret_cast<std::byte*>(into), static_cast<std::size_t>(size)));
  return size;
}

/// Virtual time stands still in a call: whoever waits has waited.
int sleep(sqlite3_vfs*, int microseconds) { return microseconds; }

int current_time_ms(sqlite3_vfs* vfs, sqlite3_int64* now) {
  constexpr sqlite3_int64 k_1970 = 210'866'760'000'000;  // In ms of the Julian calendar.
  *now = k_1970 + of(vfs).disk.wall_ns() / 1'000'000;
  return SQLITE_OK;
}

int current_time(sqlite3_vfs* vfs, double* days) {
  sqlite3_int64 now = 0;
  current_time_ms(vfs, &now);
  *days = static_cast<double>(now) / 86'400'000.0;
  return SQLITE_OK;
}

int last_error(sqlite3_vfs*, int, char*) { return 0; }

}  // namespace

SimVfs::SimVfs(testing::SimDisk disk) : state_(std::make_unique<State>(disk)) {
  static std::uint64_t count = 0;
  state_->name = "rondo-sim-" + std::to_string(++count);
  sqlite3_vfs& vfs = state_->vfs;
  vfs.iVersion = 2;
  vfs.szOsFile = sizeof(File);
  vfs.mxPathname = 512;
  vfs.zName = state_->name.c_str();
  vfs.pAppData = state_.get();
  vfs.xOpen = open_file;
  vfs.xDelete = remove;
  vfs.xAccess = access;
  vfs.xFullPathname = full_path;
  vfs.xRandomness = randomness;
  vfs.xSleep = sleep;
  vfs.xCurrentTime = current_time;
  vfs.xGetLastError = last_error;
  vfs.xCurrentTimeInt64 = current_time_ms;
  sqlite3_vfs_register(&vfs, 0);
}

SimVfs::~SimVfs() { sqlite3_vfs_unregister(&state_->vfs); }
const std::string& SimVfs::name() const noexcept { return state_->name; }

}  // namespace rondo::sqlite
