// SPDX-License-Identifier: Apache-2.0
// Boost.Asio / Beast contender, one thread.   asio_server MODE PORT
//   echo (C++20 coroutines), echo-cb (completion handlers), sink, source, fanout,
//   http, ws, wsfan (Beast, coroutines)
// Built twice: epoll reactor, and with -DBOOST_ASIO_HAS_IO_URING -DBOOST_ASIO_DISABLE_EPOLL.
#include <boost/asio.hpp>
#include <boost/beast.hpp>
#include <cstdio>
#include <deque>
#include <memory>
#include <set>
#include <string>

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::awaitable;
using asio::use_awaitable;
using asio::ip::tcp;
constexpr auto nothrow = asio::as_tuple(asio::use_awaitable);

static awaitable<void> echo(tcp::socket s) {
    char buf[4096];
    for (;;) {
        auto [e, n] = co_await s.async_read_some(asio::buffer(buf), nothrow);
        if (e) co_return;
        auto [e2, m] = co_await asio::async_write(s, asio::buffer(buf, n), nothrow);
        if (e2) co_return;
    }
}
static awaitable<void> sink(tcp::socket s) {
    std::vector<char> buf(65536);
    for (;;) {
        auto [e, n] = co_await s.async_read_some(asio::buffer(buf), nothrow);
        if (e) co_return;
    }
}
static awaitable<void> source(tcp::socket s) {
    std::vector<char> buf(65536, 'z');
    co_await s.async_read_some(asio::buffer(buf), nothrow);
    for (;;) {
        auto [e, n] = co_await asio::async_write(s, asio::buffer(buf), nothrow);
        if (e) co_return;
    }
}

struct EchoCb : std::enable_shared_from_this<EchoCb> {
    tcp::socket s;
    char buf[4096];
    explicit EchoCb(tcp::socket x) : s(std::move(x)) {}
    void read() {
        s.async_read_some(asio::buffer(buf), [self = shared_from_this()](boost::system::error_code e, size_t n) {
            if (!e) self->write(n);
        });
    }
    void write(size_t n) {
        asio::async_write(s, asio::buffer(buf, n), [self = shared_from_this()](boost::system::error_code e, size_t) {
            if (!e) self->read();
        });
    }
};

// The classic chat design: a queue of shared lines per member and a write loop.
struct Member : std::enable_shared_from_this<Member> {
    tcp::socket s;
    std::deque<std::shared_ptr<const std::string>> queue;
    static inline std::set<std::shared_ptr<Member>> room;
    explicit Member(tcp::socket x) : s(std::move(x)) {}
    void deliver(const std::shared_ptr<const std::string>& line) {
        queue.push_back(line);
        if (queue.size() == 1) write();
    }
    void write() {
        asio::async_write(s, asio::buffer(*queue.front()), [self = shared_from_this()](boost::system::error_code e, size_t) {
            if (e) return;
            self->queue.pop_front();
            if (!self->queue.empty()) self->write();
        });
    }
    static awaitable<void> run(std::shared_ptr<Member> me) {
        room.insert(me);
        std::string in;
        for (;;) {
            auto [e, n] = co_await asio::async_read_until(me->s, asio::dynamic_buffer(in), '\n', nothrow);
            if (e) break;
            auto line = std::make_shared<const std::string>(in.substr(0, n));
            in.erase(0, n);
            for (auto& m : room) m->deliver(line);
        }
        room.erase(me);
    }
};

static awaitable<void> http(tcp::socket s) {
    namespace h = beast::http;
    beast::flat_buffer buf;
    for (;;) {
        h::request<h::empty_body> req;
        auto [e, n] = co_await h::async_read(s, buf, req, nothrow);
        if (e) co_return;
        h::response<h::string_body> res{h::status::ok, req.version()};
        res.set(h::field::server, "Beast");
        char date[64];
        time_t t = time(nullptr);
        tm g;
        strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&t, &g));
        res.set(h::field::date, date);
        res.set(h::field::content_type, "text/plain");
        res.keep_alive(req.keep_alive());
        res.body() = "Hello, World!";
        res.prepare_payload();
        auto [e2, m] = co_await h::async_write(s, res, nothrow);
        if (e2 || !req.keep_alive()) co_return;
    }
}

using Ws = beast::websocket::stream<tcp::socket>;
static awaitable<void> ws_echo(tcp::socket s) {
    Ws ws(std::move(s));
    if (auto [e] = co_await ws.async_accept(nothrow); e) co_return;
    beast::flat_buffer buf;
    for (;;) {
        auto [e, n] = co_await ws.async_read(buf, nothrow);
        if (e) co_return;
        ws.text(ws.got_text());
        auto [e2, m] = co_await ws.async_write(buf.data(), nothrow);
        if (e2) co_return;
        buf.consume(buf.size());
    }
}
struct WsMember : std::enable_shared_from_this<WsMember> {
    Ws ws;
    std::deque<std::shared_ptr<const std::string>> queue;
    static inline std::set<std::shared_ptr<WsMember>> room;
    explicit WsMember(tcp::socket s) : ws(std::move(s)) {}
    void deliver(const std::shared_ptr<const std::string>& line) {
        queue.push_back(line);
        if (queue.size() == 1) write();
    }
    void write() {
        ws.async_write(asio::buffer(*queue.front()), [self = shared_from_this()](boost::system::error_code e, size_t) {
            if (e) return;
            self->queue.pop_front();
            if (!self->queue.empty()) self->write();
        });
    }
    static awaitable<void> run(std::shared_ptr<WsMember> me) {
        if (auto [e] = co_await me->ws.async_accept(nothrow); e) co_return;
        me->ws.text(true);
        room.insert(me);
        beast::flat_buffer buf;
        for (;;) {
            auto [e, n] = co_await me->ws.async_read(buf, nothrow);
            if (e) break;
            auto line = std::make_shared<const std::string>(beast::buffers_to_string(buf.data()));
            buf.consume(buf.size());
            for (auto& m : room) m->deliver(line);
        }
        room.erase(me);
    }
};

static awaitable<void> serve(std::string mode, tcp::acceptor acc) {
    auto ex = co_await asio::this_coro::executor;
    for (;;) {
        auto [e, s] = co_await acc.async_accept(nothrow);
        if (e) continue;
        s.set_option(tcp::no_delay(true));
        if (mode == "echo") asio::co_spawn(ex, echo(std::move(s)), asio::detached);
        else if (mode == "echo-cb") std::make_shared<EchoCb>(std::move(s))->read();
        else if (mode == "sink") asio::co_spawn(ex, sink(std::move(s)), asio::detached);
        else if (mode == "source") asio::co_spawn(ex, source(std::move(s)), asio::detached);
        else if (mode == "fanout") asio::co_spawn(ex, Member::run(std::make_shared<Member>(std::move(s))), asio::detached);
        else if (mode == "http") asio::co_spawn(ex, http(std::move(s)), asio::detached);
        else if (mode == "ws") asio::co_spawn(ex, ws_echo(std::move(s)), asio::detached);
        else if (mode == "wsfan") asio::co_spawn(ex, WsMember::run(std::make_shared<WsMember>(std::move(s))), asio::detached);
        else std::exit(2);
    }
}
int main(int argc, char** argv) {
    if (argc < 3) return 2;
    asio::io_context ioc(1);
    tcp::acceptor acc(ioc, {asio::ip::address_v4::loopback(), (unsigned short)atoi(argv[2])});
    acc.listen(4096);
    asio::co_spawn(ioc, serve(argv[1], std::move(acc)), asio::detached);
    puts("READY"), fflush(stdout);
    ioc.run();
}
