// SPDX-License-Identifier: Apache-2.0
// Steady state: a request costs no allocation. Counted in the whole program, client included;
// under AddressSanitizer, whose build pools nothing, there is nothing to count, and
// ThreadSanitizer brings an operator new of its own.
#include "rondo/core/detail/frame_pool.hpp"

#if !defined(RONDO_POOL_OFF) && !__has_feature(thread_sanitizer)
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "http2_talk.hpp"

namespace {
std::size_t g_allocations = 0;
}

void* operator new(std::size_t size) {
  ++g_allocations;
  if (void* block = std::malloc(size)) return block;
  throw std::bad_alloc();
}
void operator delete(void* block) noexcept { std::free(block); }
void operator delete(void* block, std::size_t) noexcept { std::free(block); }

namespace rondo::testing {
namespace {

http::Router three_handlers() {
  http::Router router;
  router.get("/plain", [](http::Request&, http::Response& out) { out.send("Hello, World!"); });
  router.get("/task/{name}", [](http::Request& in, http::Response& out) -> Task<> {
    out.content_type("text/plain").send(in.param("name"));
    co_return;
  });
  router.post("/echo", [](http::Request& in, http::Response& out) -> Task<> {
    auto body = co_await in.read_all();
    if (body) out.send(*body);
  });
  return router;
}

/// Allocations of `rounds` requests, sent one after the other, after as many to warm up.
std::size_t allocations_of(std::string request, std::size_t answer_size, int rounds) {
  std::size_t before = 0;
  std::size_t after = 0;
  play({.router = three_handlers(), .client = [&](ByteStream& peer, std::string&) -> Task<> {
          for (int i = 0; i < 2 * rounds; ++i) {
            if (i == rounds) before = g_allocations;
            (void)co_await peer.write_all(std::string_view(request));
            for (std::size_t heard = 0; heard < answer_size;) {
              auto got = co_await peer.read();
              if (!got || got->empty()) co_return;
              heard += got->size();
            }
          }
          after = g_allocations;
          peer.shutdown_write();
        }});
  EXPECT_GT(after, 0U) << "the server closed early";
  return after - before;
}

std::size_t size_of_answer(const std::string& request) {
  http::Router router;
  router.get("/plain", [](http::Request&, http::Response& out) { out.send("Hello, World!"); });
  router.get("/task/{name}", [](http::Request& in, http::Response& out) {
    out.content_type("text/plain").send(in.param("name"));
  });
  router.post("/echo", [](http::Request&, http::Response& out) { out.send("ping"); });
  return ask(std::move(router), request).heard.size();
}

TEST(HttpAllocations, areNoneInTheSteadyState) {
  for (std::string request : {"GET /plain HTTP/1.1\r\nHost: a\r\n\r\n",
                              "GET /task/Ada%20L HTTP/1.1\r\nHost: a\r\n\r\n",
                              "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nping"}) {
    EXPECT_EQ(allocations_of(request, size_of_answer(request), 100), 0U) << request;
  }
}

/// The same over HTTP/2, ten streams at a time; what nghttp2 keeps of a stream comes from malloc
/// and is not counted.
std::size_t allocations_of_http2(std::string (*request)(std::uint32_t id), int rounds) {
  std::size_t before = 0;
  std::size_t after = 0;
  std::vector<std::string> batches;
  for (std::uint32_t id = 1, i = 0; i < 2U * static_cast<unsigned>(rounds); ++i) {
    std::string& batch = batches.emplace_back();
    for (int n = 0; n < 10; ++n, id += 2) batch += request(id);
  }
  batches[0].insert(0, h2::preface() + h2::frame(h2::k_settings, h2::k_ack, 0));
  play2({.router = three_handlers(), .client = [&](Http2Client& c) -> Task<> {
           for (int i = 0; i < 2 * rounds; ++i) {
             if (i == rounds) before = g_allocations;
             (void)co_await c.stream.write_all(std::string_view(batches[static_cast<unsigned>(i)]));
             // All of it leaves in one send.
             auto got = co_await c.stream.read();
             if (!got || got->size() < 100) co_return;
           }
           after = g_allocations;
         }});
  EXPECT_GT(after, 0U) << "the server closed early";
  return after - before;
}

TEST(HttpAllocations, areNoneInTheSteadyStateOfHttp2) {
  using Request = std::string (*)(std::uint32_t);
  for (Request request : {Request([](std::uint32_t id) { return h2::get(id, "/plain"); }),
                          Request([](std::uint32_t id) { return h2::get(id, "/task/Ada%20L"); }),
                          Request([](std::uint32_t id) { return h2::post(id, "/echo", "ping"); })})
    EXPECT_EQ(allocations_of_http2(request, 50), 0U) << request(1);
}

}  // namespace
}  // namespace rondo::testing
#endif
