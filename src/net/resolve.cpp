// SPDX-License-Identifier: Apache-2.0
// Names over c-ares, driven by the loop: its descriptors through poll operations, its time-outs
// by a loop timer. One channel per loop, made at the first question.
// Who owns what: a Query lives until c-ares has called back, also when its task was cancelled; a
// Watch lives until its poll has ended, and only then its descriptor is closed, by the driver.
#include "rondo/net/resolve.hpp"

#include <ares.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <memory>
#include <utility>

#include "base/text.hpp"
#include "net/service.hpp"
#include "rondo/core/detail/one_shot.hpp"
#include "rondo/core/loop.hpp"

namespace rondo::net {
namespace {

using rondo::detail::cancelled;
using rondo::detail::strike;
using rondo::detail::Waiter;
using rondo::detail::wake;

class Resolver;

/// One question. `waiter` is null once its task was cancelled: the answer is dropped then.
struct Query {
  Waiter* waiter = nullptr;
  bool suspended = false;
  bool answered = false;
  int status = ARES_SUCCESS;
  std::vector<Endpoint> found;
  Duration lives = Duration::zero();  ///< the answer may be kept that long
  std::string reply;                  ///< of SRV and TXT, as it came
};

/// Addresses by name and family, without ports, until they say they are old.
class Cache {
 public:
  struct Answer {
    std::vector<Endpoint> found;  ///< empty: there is no such name
    TimePoint until;
    std::uint64_t used = 0;
  };
  using Key = std::pair<std::string, io::AddressFamily>;

  const Answer* find(const Key& key, TimePoint now) {
    const auto at = answers_.find(key);
    if (at == answers_.end()) return nullptr;
    if (at->second.until <= now) {
      answers_.erase(at);
      return nullptr;
    }
    at->second.used = ++clock_;
    return &at->second;
  }
  void put(const Key& key, std::vector<Endpoint> found, TimePoint until) {
    answers_[key] = {std::move(found), until, ++clock_};
    if (answers_.size() <= limits::dns_cache_max.value) return;
    answers_.erase(
        std::ranges::min_element(answers_, {}, [](const auto& each) { return each.second.used; }));
  }
  std::size_t size() const noexcept { return answers_.size(); }
  void clear() noexcept { answers_.clear(); }

 private:
  std::map<Key, Answer> answers_;
  std::uint64_t clock_ = 0;
};

class Resolver final : public rondo::detail::LoopService {
 public:
  explicit Resolver(Loop& loop);
  ~Resolver() override;
  bool drained() const noexcept override { return watches_.empty(); }

  void ask(const std::string& host, io::AddressFamily family, std::shared_ptr<Query> query);
  void ask_record(const std::string& name, int type, std::shared_ptr<Query> query);
  Result<> configure(const DnsOptions& options);

  Cache cache;
  bool caches = true;
  DnsStatistics statistics;

 private:
  struct Watch : io::PollOp {
    Resolver* resolver = nullptr;
    std::uint32_t wanted = 0;
    bool closing = false;
  };
  struct Timeout : rondo::detail::Timer {
    Resolver* resolver = nullptr;
  };
  struct Asked {
    std::shared_ptr<Query> query;
  };

  static void on_answer(void* argument, int status, int timeouts, ares_addrinfo* answer);
  static void on_record(void* argument, int status, int timeouts, unsigned char* reply, int size);
  static void settle(Query& query) noexcept;
  int open(const DnsOptions& options);
  void want(int fd, std::uint32_t events) noexcept;
  void poll(Watch& watch) noexcept;
  void on_poll(Watch& watch, std::int32_t result) noexcept;
  void close(int fd) noexcept;
  void arm_timeout() noexcept;

  detail::NetService& net_;
  Loop& loop_;
  ares_channel channel_ = nullptr;
  std::map<int, std::unique_ptr<Watch>> watches_;
  Timeout timeout_;
};

/// Of the whole process, once: the library counts its users without a lock, so that loops on other
/// threads would race in a clean-up each. What it holds is for the process's life.
bool library_is_ready() {
  static const int result = ares_library_init(ARES_LIB_INIT_ALL);
  return result == ARES_SUCCESS;
}

Resolver::Resolver(Loop& loop) : net_(loop.service<detail::NetService>()), loop_(loop) {
  timeout_.resolver = this;
  timeout_.fire = [](rondo::detail::Timer& timer) noexcept {
    Resolver& self = *static_cast<Timeout&>(timer).resolver;
    ares_process_fd(self.channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    self.arm_timeout();
  };
  if (library_is_ready()) (void)open({});
}

/// A channel with these options; null after an error.
int Resolver::open(const DnsOptions& how) {
  ares_options options{};
  options.sock_state_cb_data = this;
  options.sock_state_cb = [](void* self, ares_socket_t fd, int readable, int writable) {
    static_cast<Resolver*>(self)->want(
        fd, (readable ? io::k_readable : 0U) | (writable ? io::k_writable : 0U));
  };
  int given = ARES_OPT_SOCK_STATE_CB | ARES_OPT_TRIES;
  options.tries = how.tries;
  if (how.timeout > Duration::zero()) {
    options.timeout = static_cast<int>(std::max<std::int64_t>(
        1, std::chrono::duration_cast<std::chrono::milliseconds>(how.timeout).count()));
    given |= ARES_OPT_TIMEOUTMS;
  }
  if (const int status = ares_init_options(&channel_, &options, given); status != ARES_SUCCESS) {
    channel_ = nullptr;
    return status;
  }
  // Its sockets are closed by the driver, after their polls have ended.
  static const ares_socket_functions k_functions = {
      [](int domain, int type, int protocol, void*) {
        return ::socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
      },
      [](ares_socket_t fd, void* self) {
        static_cast<Resolver*>(self)->close(fd);
        return 0;
      },
      [](ares_socket_t fd, const sockaddr* to, ares_socklen_t size, void*) {
        return ::connect(fd, to, size);
      },
      [](ares_socket_t fd, void* into, std::size_t size, int flags, sockaddr* from,
         ares_socklen_t* from_size,
         void*) { return ::recvfrom(fd, into, size, flags, from, from_size); },
      [](ares_socket_t fd, const iovec* parts, int count, void*) {
        return ::writev(fd, parts, count);
      }};
  ares_set_socket_functions(channel_, &k_functions, this);
  return ARES_SUCCESS;
}

Result<> Resolver::configure(const DnsOptions& options) {
  RONDO_ASSERT(watches_.empty() && !timeout_.armed(),
               "configure_dns() while a name is being resolved: call it at the begin");
  if (channel_) ares_destroy(std::exchange(channel_, nullptr));
  cache.clear();
  caches = options.cache;
  if (!library_is_ready() || open(options) != ARES_SUCCESS)
    return Error(Errc::no_memory, "configure_dns");
  std::string list;
  for (const std::string& each : options.servers) list += (list.empty() ? "" : ",") + each;
  if (list.empty()) return {};
  if (ares_set_servers_ports_csv(channel_, list.c_str()) != ARES_SUCCESS)
    return Error(Errc::bad_address, "configure_dns", list);
  return {};
}

Resolver::~Resolver() {
  if (timeout_.armed()) loop_.disarm(timeout_);
  if (channel_) ares_destroy(channel_);  // Unanswered questions are called back as destroyed.
  while (!watches_.empty()) loop_.driver().wait(io::Wait::poll, TimePoint{});
}

int family_of(io::AddressFamily family) noexcept {
  switch (family) {
    case io::AddressFamily::v4:
      return AF_INET;
    case io::AddressFamily::v6:
      return AF_INET6;
    default:
      return AF_UNSPEC;
  }
}

void Resolver::ask(const std::string& host, io::AddressFamily family,
                   std::shared_ptr<Query> query) {
  ares_addrinfo_hints hints{};
  hints.ai_family = family_of(family);
  hints.ai_socktype = SOCK_STREAM;
  ++statistics.asked;
  if (!channel_) {
    query->status = ARES_ENOMEM;
    query->answered = true;
    return;
  }
  ares_getaddrinfo(channel_, host.c_str(), nullptr, &hints, &Resolver::on_answer,
                   new Asked{std::move(query)});
  arm_timeout();
}

void Resolver::ask_record(const std::string& name, int type, std::shared_ptr<Query> query) {
  ++statistics.asked;
  if (!channel_) {
    query->status = ARES_ENOMEM;
    query->answered = true;
    return;
  }
  constexpr int k_internet = 1;  // The class IN.
  ares_query(channel_, name.c_str(), k_internet, type, &Resolver::on_record,
             new Asked{std::move(query)});
  arm_timeout();
}

void Resolver::settle(Query& query) noexcept {
  query.answered = true;
  if (query.suspended && query.waiter) wake(*std::exchange(query.waiter, nullptr));
}

void Resolver::on_record(void* argument, int status, int, unsigned char* reply, int size) {
  const std::unique_ptr<Asked> asked(static_cast<Asked*>(argument));
  asked->query->status = status;
  if (reply)
    asked->query->reply.assign(reinterpret_cast<char*>(reply), static_cast<std::size_t>(size));
  settle(*asked->query);
}

void Resolver::on_answer(void* argument, int status, int, ares_addrinfo* answer) {
  const std::unique_ptr<Asked> asked(static_cast<Asked*>(argument));
  Query& query = *asked->query;
  query.status = status;
  int lives = static_cast<int>(limits::dns_ttl_max.value);
  for (auto* node = answer ? answer->nodes : nullptr; node; node = node->ai_next) {
    io::Address address;
    if (node->ai_addrlen > sizeof address.storage) continue;
    std::memcpy(address.storage, node->ai_addr, node->ai_addrlen);
    address.size = node->ai_addrlen;
    query.found.emplace_back(address);
    lives = std::min(lives, node->ai_ttl);  // Of the hosts file: zero, it is read each time.
  }
  query.lives = std::chrono::seconds(std::max(0, lives));
  if (answer) ares_freeaddrinfo(answer);
  settle(query);
}

void Resolver::want(int fd, std::uint32_t events) noexcept {
  std::unique_ptr<Watch>& watch = watches_[fd];
  if (!watch) {
    watch = std::make_unique<Watch>();
    watch->resolver = this;
    watch->fd = fd;
    watch->on_complete = [](io::Operation& op, const io::Completion& done) noexcept {
      auto& self = static_cast<Watch&>(op);
      self.resolver->on_poll(self, done.result);
    };
  }
  watch->wanted = events;
  if (!watch->in_flight())
    poll(*watch);
  else if (watch->events != events)
    loop_.driver().cancel(*watch);
}

void Resolver::poll(Watch& watch) noexcept {
  if (watch.wanted == 0) return;
  watch.events = watch.wanted;
  loop_.driver().submit(watch);
}

void Resolver::on_poll(Watch& watch, std::int32_t result) noexcept {
  const int fd = watch.fd;
  if (result > 0 && !watch.closing) {
    const auto events = static_cast<std::uint32_t>(result);
    const bool writable = (events & io::k_writable) != 0;
    const bool readable = (events & ~static_cast<std::uint32_t>(io::k_writable)) != 0;
    ares_process_fd(channel_, readable ? fd : ARES_SOCKET_BAD, writable ? fd : ARES_SOCKET_BAD);
    arm_timeout();
  }
  const auto at = watches_.find(fd);
  if (at == watches_.end() || at->second.get() != &watch || watch.in_flight()) return;
  if (!watch.closing) return poll(watch);
  watches_.erase(at);
  net_.close_descriptor(fd);
}

void Resolver::close(int fd) noexcept {
  const auto at = watches_.find(fd);
  if (at == watches_.end()) return net_.close_descriptor(fd);
  at->second->closing = true;
  if (at->second->in_flight()) return loop_.driver().cancel(*at->second);
  watches_.erase(at);
  net_.close_descriptor(fd);
}

void Resolver::arm_timeout() noexcept {
  if (timeout_.armed()) loop_.disarm(timeout_);
  timeval wait{};
  if (!channel_ || !ares_timeout(channel_, nullptr, &wait)) return;
  const Duration time = std::chrono::seconds(wait.tv_sec) + std::chrono::microseconds(wait.tv_usec);
  timeout_.deadline = deadline_after(loop_.now(), time).time_since_epoch().count();
  loop_.arm(timeout_);
}

/// Waits for one Query; the query outlives it when the task is cancelled.
struct LookupAwaiter : Waiter {
  std::shared_ptr<Query> query;
  LookupAwaiter(std::shared_ptr<Query> q, rondo::detail::PromiseBase& parent)
      : query(std::move(q)) {
    frame = &parent;
  }
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<>) {
    if (cancelled(*this)) return strike(*this);
    if (query->answered) return wake(*this);
    query->waiter = this;
    query->suspended = true;
    rondo::detail::park(*this, [](Waiter& waiter) noexcept {
      static_cast<LookupAwaiter&>(waiter).query->waiter = nullptr;
      strike(waiter);
    });
  }
  void await_resume() const noexcept {}
};
struct [[nodiscard]] Lookup {
  std::shared_ptr<Query> query;
  LookupAwaiter awaiter(rondo::detail::PromiseBase& parent) && { return {query, parent}; }
};

Errc code_of(int status) {
  switch (status) {
    case ARES_ENOTFOUND:
    case ARES_ENODATA:
      return Errc::no_such_host;
    case ARES_EBADNAME:
    case ARES_ESERVICE:
      return Errc::bad_address;
    case ARES_ENOMEM:
      return Errc::no_memory;
    default:
      return Errc::resolve_failed;
  }
}

/// Under simulation the driver knows the names.
struct NameAwaiter : rondo::detail::OneShotAwaiter<io::ResolveOp> {
  std::array<io::Address, 8> found;
  NameAwaiter(std::string_view name, io::AddressFamily family, rondo::detail::PromiseBase& parent)
      : OneShotAwaiter(parent) {
    op.name = name;
    op.family = family;
    op.found = found;
  }
  std::vector<Endpoint> await_resume() {
    std::vector<Endpoint> endpoints;
    for (std::int32_t i = 0; i < result; ++i) {
      endpoints.emplace_back(found[static_cast<std::size_t>(i)]);
    }
    return endpoints;
  }
};
struct [[nodiscard]] AskDriver {
  std::string_view name;
  io::AddressFamily family;
  NameAwaiter awaiter(rondo::detail::PromiseBase& parent) && { return {name, family, parent}; }
};

std::vector<Endpoint> with_port(std::vector<Endpoint> found, std::uint16_t port) {
  for (Endpoint& each : found) each.set_port(port);
  return found;
}

}  // namespace

Task<Result<std::vector<Endpoint>>> resolve(std::string host, std::uint16_t port,
                                            io::AddressFamily family) {
  if (auto numeric = Endpoint::ip(host, port)) {
    const auto other = numeric->is_v6() ? io::AddressFamily::v4 : io::AddressFamily::v6;
    if (family == other) co_return Error(Errc::no_such_host, "resolve", host);
    co_return std::vector{*numeric};
  }
  if (host.empty() || host.size() > 253) co_return Error(Errc::bad_address, "resolve", host);
  if (Loop::current().driver().probe().has_names) {
    std::vector<Endpoint> found = co_await AskDriver{host, family};
    found = with_port(std::move(found), port);
    if (found.empty()) co_return Error(Errc::no_such_host, "resolve", host);
    co_return found;
  }
  Resolver& resolver = Loop::current().service<Resolver>();
  const Cache::Key key(lower(host), family);
  if (const Cache::Answer* kept = resolver.cache.find(key, now())) {
    ++resolver.statistics.cached;
    if (kept->found.empty()) co_return Error(Errc::no_such_host, "resolve", host);
    co_return with_port(kept->found, port);
  }
  auto query = std::make_shared<Query>();
  resolver.ask(host, family, query);
  co_await Lookup{query};
  const bool found = query->status == ARES_SUCCESS && !query->found.empty();
  const Errc error = found ? Errc{0} : code_of(query->status);
  const bool absent = error == Errc::no_such_host;
  const Duration lives = absent ? std::chrono::seconds(limits::dns_absent_ttl.value) : query->lives;
  if (resolver.caches && (found || absent) && lives > Duration::zero())
    resolver.cache.put(key, query->found, now() + lives);
  if (!found) co_return Error(error, "resolve", host);
  co_return with_port(std::move(query->found), port);
}

namespace {

/// The reply to a question for records of one type.
Task<Result<std::string>> ask_record(std::string name, int type, const char* what) {
  if (name.empty() || name.size() > 253) co_return Error(Errc::bad_address, what, name);
  if (Loop::current().driver().probe().has_names) co_return Error(Errc::not_supported, what, name);
  auto query = std::make_shared<Query>();
  Loop::current().service<Resolver>().ask_record(name, type, query);
  co_await Lookup{query};
  if (query->status != ARES_SUCCESS) co_return Error(code_of(query->status), what, name);
  co_return std::move(query->reply);
}

/// A list of c-ares that goes with its scope.
template <class T>
struct AresList {
  T* first = nullptr;
  ~AresList() {
    if (first) ares_free_data(first);
  }
};

const unsigned char* bytes_of(const std::string& reply) noexcept {
  return reinterpret_cast<const unsigned char*>(reply.data());
}

/// RFC 2782: among those of one priority the next is drawn, each with the chance its weight gives.
void order_places(std::vector<ServicePlace>& places) {
  std::ranges::sort(places, {}, &ServicePlace::priority);
  for (auto begin = places.begin(); begin != places.end(); ++begin) {
    auto end = begin;
    std::uint32_t total = 0;
    for (; end != places.end() && end->priority == begin->priority; ++end) total += end->weight;
    std::array<std::byte, 4> random;
    Loop::current().driver().random(random);
    std::uint32_t drawn = 0;
    std::memcpy(&drawn, random.data(), sizeof drawn);
    drawn %= total + 1;
    for (auto at = begin; at != end; ++at) {
      if (drawn <= at->weight) {
        std::rotate(begin, at, at + 1);
        break;
      }
      drawn -= at->weight;
    }
  }
}

}  // namespace

Task<Result<std::vector<ServicePlace>>> resolve_srv(std::string name) {
  constexpr int k_srv = 33;
  const std::string reply = co_await ask_record(name, k_srv, "resolve_srv").or_return();
  AresList<ares_srv_reply> list;
  const int status =
      ares_parse_srv_reply(bytes_of(reply), static_cast<int>(reply.size()), &list.first);
  if (status != ARES_SUCCESS) co_return Error(code_of(status), "resolve_srv", name);
  std::vector<ServicePlace> places;
  for (const ares_srv_reply* at = list.first; at; at = at->next) {
    const std::string_view host = std::string_view(at->host) == "." ? "" : at->host;
    places.push_back({.host = std::string(host),
                      .port = at->port,
                      .priority = at->priority,
                      .weight = at->weight});
  }
  order_places(places);
  co_return places;
}

Task<Result<std::vector<std::string>>> resolve_txt(std::string name) {
  constexpr int k_txt = 16;
  const std::string reply = co_await ask_record(name, k_txt, "resolve_txt").or_return();
  AresList<ares_txt_ext> list;
  const int status =
      ares_parse_txt_reply_ext(bytes_of(reply), static_cast<int>(reply.size()), &list.first);
  if (status != ARES_SUCCESS) co_return Error(code_of(status), "resolve_txt", name);
  std::vector<std::string> texts;
  for (const ares_txt_ext* at = list.first; at; at = at->next) {
    if (at->record_start || texts.empty()) texts.emplace_back();
    texts.back().append(reinterpret_cast<const char*>(at->txt), at->length);
  }
  co_return texts;
}

Result<> configure_dns(const DnsOptions& options) {
  RONDO_ASSERT(options.tries > 0, "a question is asked at least once");
  if (Loop::current().driver().probe().has_names)
    return Error(Errc::not_supported, "configure_dns");
  return Loop::current().service<Resolver>().configure(options);
}

DnsStatistics dns_statistics() {
  if (Loop::current().driver().probe().has_names) return {};
  Resolver& resolver = Loop::current().service<Resolver>();
  DnsStatistics made = resolver.statistics;
  made.kept = resolver.cache.size();
  return made;
}

}  // namespace rondo::net
