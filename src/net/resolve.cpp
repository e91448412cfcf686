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

#include <array>
#include <cstring>
#include <map>
#include <memory>
#include <utility>

#include "net/service.hpp"
#include "rondo/core/detail/one_shot.hpp"
#include "rondo/core/loop.hpp"

namespace rondo::net {
namespace {

using rondo::detail::cancelled;
using rondo::detail::strike;
using rondo::detail::wake;
using rondo::detail::Waiter;

class Resolver;

/// One question. `waiter` is null once its task was cancelled: the answer is dropped then.
struct Query {
  Resolver* resolver = nullptr;
  Waiter* waiter = nullptr;
  bool suspended = false;
  bool answered = false;
  int status = ARES_SUCCESS;
  std::vector<Endpoint> found;
};

class Resolver final : public rondo::detail::LoopService {
 public:
  explicit Resolver(Loop& loop);
  ~Resolver() override;
  bool drained() const noexcept override { return watches_.empty(); }

  void ask(const std::string& host, std::uint16_t port, io::AddressFamily family,
           std::shared_ptr<Query> query);

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
  if (!library_is_ready()) return;
  ares_options options{};
  options.sock_state_cb_data = this;
  options.sock_state_cb = [](void* self, ares_socket_t fd, int readable, int writable) {
    static_cast<Resolver*>(self)->want(fd, (readable ? io::k_readable : 0U) |
                                               (writable ? io::k_writable : 0U));
  };
  if (ares_init_options(&channel_, &options, ARES_OPT_SOCK_STATE_CB) != ARES_SUCCESS) {
    channel_ = nullptr;
    return;
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
         ares_socklen_t* from_size, void*) {
        return ::recvfrom(fd, into, size, flags, from, from_size);
      },
      [](ares_socket_t fd, const iovec* parts, int count, void*) {
        return ::writev(fd, parts, count);
      }};
  ares_set_socket_functions(channel_, &k_functions, this);
}

Resolver::~Resolver() {
  if (timeout_.armed()) loop_.disarm(timeout_);
  if (channel_) ares_destroy(channel_);  // Unanswered questions are called back as destroyed.
  while (!watches_.empty()) loop_.driver().wait(io::Wait::poll, TimePoint{});
}

int family_of(io::AddressFamily family) noexcept {
  switch (family) {
    case io::AddressFamily::v4: return AF_INET;
    case io::AddressFamily::v6: return AF_INET6;
    default: return AF_UNSPEC;
  }
}

void Resolver::ask(const std::string& host, std::uint16_t port, io::AddressFamily family,
                   std::shared_ptr<Query> query) {
  const std::string service = std::to_string(port);
  ares_addrinfo_hints hints{};
  hints.ai_family = family_of(family);
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = ARES_AI_NUMERICSERV;
  if (!channel_) {
    query->status = ARES_ENOMEM;
    query->answered = true;
    return;
  }
  ares_getaddrinfo(channel_, host.c_str(), service.c_str(), &hints, &Resolver::on_answer,
                   new Asked{std::move(query)});
  arm_timeout();
}

void Resolver::on_answer(void* argument, int status, int, ares_addrinfo* answer) {
  const std::unique_ptr<Asked> asked(static_cast<Asked*>(argument));
  Query& query = *asked->query;
  query.status = status;
  query.answered = true;
  for (auto* node = answer ? answer->nodes : nullptr; node; node = node->ai_next) {
    io::Address address;
    if (node->ai_addrlen > sizeof address.storage) continue;
    std::memcpy(address.storage, node->ai_addr, node->ai_addrlen);
    address.size = node->ai_addrlen;
    query.found.emplace_back(address);
  }
  if (answer) ares_freeaddrinfo(answer);
  if (query.suspended && query.waiter) wake(*std::exchange(query.waiter, nullptr));
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
  if (!watch->in_flight()) poll(*watch);
  else if (watch->events != events) loop_.driver().cancel(*watch);
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
    case ARES_ENODATA: return Errc::no_such_host;
    case ARES_EBADNAME:
    case ARES_ESERVICE: return Errc::bad_address;
    case ARES_ENOMEM: return Errc::no_memory;
    default: return Errc::resolve_failed;
  }
}

/// Under simulation the driver knows the names.
struct NameAwaiter : rondo::detail::OneShotAwaiter<io::ResolveOp> {
  std::array<io::Address, 8> found;
  NameAwaiter(std::string_view name, io::AddressFamily family,
              rondo::detail::PromiseBase& parent)
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
    for (Endpoint& endpoint : found) endpoint.set_port(port);
    if (found.empty()) co_return Error(Errc::no_such_host, "resolve", host);
    co_return found;
  }
  auto query = std::make_shared<Query>();
  Loop::current().service<Resolver>().ask(host, port, family, query);
  co_await Lookup{query};
  if (query->status == ARES_SUCCESS && !query->found.empty()) co_return std::move(query->found);
  co_return Error(code_of(query->status), "resolve", host);
}

}  // namespace rondo::net
