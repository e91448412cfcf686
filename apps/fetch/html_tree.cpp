// SPDX-License-Identifier: Apache-2.0
#include "fetch/html_tree.hpp"

#include <fmt/format.h>
#include <gumbo.h>

#include <algorithm>
#include <csetjmp>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <utility>

namespace rondo::fetch {

/// Gumbo's memory: bounded, and given back at once. Gumbo's own way down the tree is a recursion,
/// which a page that is nested a million deep would run out of stack in.
///
/// Gumbo has no way to fail: an allocator that returns nothing crashes it. It is C and may have
/// been compiled without tables to unwind by, so an exception cannot pass through it either.
/// longjmp can: Gumbo's frames hold nothing but memory of this arena, and ours between the jump
/// and its target (take(), the allocator, parse_or_give_up()) nothing that has a destructor.
class Arena {
 public:
  explicit Arena(const ParseBounds& bounds) noexcept
      : left_to_take_(bounds.tree_max), time_end_(cpu_time() + bounds.time_max) {}
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena() {
    while (blocks_) std::free(std::exchange(blocks_, blocks_->before));
  }

  enum class End : std::uint8_t { good, memory, time };

  /// The tree of a text; nothing when it is beyond a bound, and then end() says which.
  const GumboOutput* parse_or_give_up(const char* text, std::size_t size) noexcept {
    GumboOptions options = kGumboDefaultOptions;
    options.userdata = this;
    options.allocator = [](void* self, std::size_t bytes) {
      return static_cast<Arena*>(self)->take(bytes);
    };
    options.deallocator = [](void*, void*) {};
    options.max_errors = 0;
    if (setjmp(way_out_) != 0) return nullptr;
    return ::gumbo_parse_with_options(&options, text, size);
  }
  End end() const noexcept { return end_; }
  std::size_t bytes() const noexcept { return taken_; }

 private:
  struct alignas(16) Block {
    Block* before;
  };
  static constexpr std::size_t k_block = 262'144;
  static constexpr std::uint32_t k_takes_between_looks = 256;  // A look at the clock is a call.

  /// Of this thread, so that a busy machine lets no page fail.
  static Duration cpu_time() noexcept {
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
  }

  [[noreturn]] void give_up(End why) noexcept {
    end_ = why;
    std::longjmp(way_out_, 1);  // NOLINT: the comment of the class says why.
  }

  void* take(std::size_t size) noexcept {
    if (++takes_ % k_takes_between_looks == 0 && cpu_time() > time_end_) give_up(End::time);
    if (size > SIZE_MAX / 2) give_up(End::memory);
    size = (size + 15) & ~std::size_t{15};
    if (size > left_) add_block(std::max(size, std::min(k_block, left_to_take_)));
    left_ -= size;
    return std::exchange(at_, at_ + size);
  }

  void add_block(std::size_t size) noexcept {
    if (size > left_to_take_) give_up(End::memory);
    auto* block = static_cast<Block*>(std::malloc(sizeof(Block) + size));
    if (!block) give_up(End::memory);
    block->before = blocks_;
    blocks_ = block;
    at_ = reinterpret_cast<std::byte*>(block + 1);
    left_ = size;
    left_to_take_ -= size;
    taken_ += size;
  }

  Block* blocks_ = nullptr;
  std::byte* at_ = nullptr;
  std::size_t left_ = 0;  ///< of the newest block
  std::size_t left_to_take_;
  std::size_t taken_ = 0;
  std::uint32_t takes_ = 0;
  Duration time_end_;
  End end_ = End::good;
  std::jmp_buf way_out_;
};

namespace {

Error too_much(std::string_view why) { return {Errc::too_large, "parse", why}; }

}  // namespace

HtmlTree::HtmlTree(std::unique_ptr<Arena> arena, const GumboNode* root) noexcept
    : arena_(std::move(arena)), root_(root) {}
HtmlTree::HtmlTree(HtmlTree&&) noexcept = default;
HtmlTree& HtmlTree::operator=(HtmlTree&&) noexcept = default;
HtmlTree::~HtmlTree() = default;

std::size_t HtmlTree::bytes() const noexcept { return arena_->bytes(); }

Result<HtmlTree> HtmlTree::parse(std::string_view html, const ParseBounds& bounds) {
  if (html.size() > bounds.size_max)
    return too_much(fmt::format("it has more than {} bytes", bounds.size_max));
  auto arena = std::make_unique<Arena>(bounds);
  const GumboOutput* output = arena->parse_or_give_up(html.data(), html.size());
  if (output) return HtmlTree(std::move(arena), output->root);
  if (arena->end() == Arena::End::memory)
    return too_much(fmt::format("its tree has more than {} bytes", bounds.tree_max));
  return too_much("it takes too long");
}

}  // namespace rondo::fetch
