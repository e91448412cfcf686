// SPDX-License-Identifier: Apache-2.0
#include "rondo/core/loop_ref.hpp"

#include "rondo/core/loop.hpp"

namespace rondo {

bool LoopRef::post_entry(detail::Ready& entry) const noexcept {
  if (!anchor_ || !anchor_->gate.enter()) return false;
  anchor_->loop->post_entry(entry);
  anchor_->gate.leave();
  return true;
}

bool LoopRef::deliver_entry(detail::Ready& entry) const noexcept {
  // By the anchor, which this keeps alive: a later loop may stand where an ended one stood.
  Loop* const here = Loop::current_or_null();
  if (!here || here->anchor_ != anchor_) return post_entry(entry);
  here->post_entry(entry);
  return true;
}

void LoopRef::request_stop() const noexcept {
  if (!anchor_ || !anchor_->gate.enter()) return;
  anchor_->loop->request_stop();
  anchor_->gate.leave();
}

bool LoopRef::is_current() const noexcept {
  // A pointer is compared, not followed: the loop may be gone.
  return anchor_ && !ended() && anchor_->loop == Loop::current_or_null();
}

namespace detail {
namespace {

/// A loop's place in its group.
struct Membership final : LoopService {
  explicit Membership(Loop& loop) : group(new LoopGroup(1)) { group->refs[0] = loop.ref(); }
  ~Membership() override {
    if (hook.linked()) hook.unlink();
    group->drop();
  }
  void join(LoopGroup& joined) {
    joined.holders.fetch_add(1, std::memory_order_relaxed);
    group->drop();
    group = &joined;
    hook.group = group;
    hook.run = [](LoopHook& h) {
      const LoopGroup& all = *static_cast<StopHook&>(h).group;
      for (std::size_t i = 0; i < all.size; ++i) all.refs[i].request_stop();  // Idempotent.
    };
    Loop::current().add_stop_hook(hook);
  }

  struct StopHook : LoopHook {
    LoopGroup* group = nullptr;
  };
  LoopGroup* group;
  StopHook hook;
};

}  // namespace

void join_group(LoopGroup& group) { Loop::current().service<Membership>().join(group); }

}  // namespace detail

std::span<const LoopRef> loops() {
  const detail::LoopGroup& group = *Loop::current().service<detail::Membership>().group;
  return {group.refs, group.size};
}

}  // namespace rondo
