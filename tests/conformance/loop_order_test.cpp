// SPDX-License-Identifier: Apache-2.0
// The order of one loop, as a table of interleavings: what a task does in one turn, and in which
// order what it has set off runs. The rules stand in docs/explanation/the-iteration.md.
#include <string>
#include <string_view>
#include <vector>

#include "every_driver.hpp"
#include "rondo/core/channel.hpp"
#include "rondo/core/event.hpp"
#include "rondo/core/future.hpp"

namespace rondo::testing {
namespace {

using Words = std::vector<std::string>;

/// What a task does, and the names in the order in which they ran. A name ends in a digit where
/// there are several of a kind. `turn` is the task's own checkpoint().
struct Row {
  const char* rule;  ///< the claim
  const char* does;
  const char* runs;
  int budget = 128;
};

Words words_of(std::string_view text) {
  Words words(1);
  for (const char c : text) {
    if (c != ' ')
      words.back() += c;
    else if (!words.back().empty())
      words.emplace_back();
  }
  return words;
}

/// The stage on which a row plays: who waits for what, and the record of who ran.
class Stage {
 public:
  explicit Stage(EveryDriver& test, std::size_t expected) : test_(test), expected_(expected) {}

  Task<> play(const Words& actions) {
    pipe_ = test_.make_pipe();
    co_await write_text(pipe_.out, "x");
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope_ = &scope;
      for (int i = 0; i < 3; ++i) scope.start(&Stage::wait_event, std::ref(*this), i);
      scope.start(&Stage::receive, std::ref(*this));
      scope.start(&Stage::await_future, std::ref(*this));
      auto sleeper = scope.start(&Stage::sleep_for_ever, std::ref(*this));
      auto joined = scope.start(&Stage::wait_release, std::ref(*this));
      scope.start(&Stage::join, std::ref(*this), std::move(joined));
      sleeper_ = &sleeper;
      // A fresh turn at the head of an iteration whose queue holds nothing else.
      co_await sleep_for(1ms);
      co_await sleep_for(1ms);
      for (const std::string& action : actions) {
        if (action == "turn") {
          co_await checkpoint();
          note("turn");
        } else {
          act(action);
        }
      }
      co_await all_ran_.wait();
      prepare_.remove();
      check_.remove();
      unwind();
    });
    scope_ = nullptr;
    co_await EveryDriver::close_pipe(pipe_);
  }
  const Words& ran() const { return ran_; }

 private:
  void note(std::string name) {
    ran_.push_back(std::move(name));
    if (ran_.size() == expected_) all_ran_.set();
  }
  static bool begins(std::string_view text, std::string_view with) {
    return text.substr(0, with.size()) == with;
  }
  void act(const std::string& name) {
    Loop& at = loop();
    if (begins(name, "soon_soon")) {
      at.call_soon([this, name] {
        note(name);
        loop().call_soon([this, name] { note(name + "'"); });
      });
    } else if (begins(name, "soon")) {
      at.call_soon([this, name] { note(name); });
    } else if (begins(name, "task")) {
      scope_->start(&Stage::run_task, std::ref(*this), name);
    } else if (name == "wake") {
      events_[0].set();
    } else if (name == "wake_all") {
      for (Event& event : events_) event.set();
    } else if (name == "send") {
      EXPECT_TRUE(channel_.try_send(1));
    } else if (name == "set_promise") {
      promise_.promise.set(1);
    } else if (name == "release") {
      release_.set();
    } else if (name == "cancel") {
      sleeper_->cancel();
    } else if (begins(name, "timer_past")) {
      handles_.push_back(at.call_at(now() - 1s, [this, name] { note(name); }));
    } else if (begins(name, "timer_soon")) {
      handles_.push_back(at.call_at(now(), [this, name] {
        note(name);
        loop().call_soon([this, name] { note(name + "'"); });
      }));
    } else if (begins(name, "timer")) {
      handles_.push_back(at.call_at(now(), [this, name] { note(name); }));
    } else if (begins(name, "post_soon")) {
      at.post([this, name] {
        note(name);
        loop().call_soon([this, name] { note(name + "'"); });
      });
    } else if (begins(name, "post_post")) {
      at.post([this, name] {
        note(name);
        loop().post([this, name] { note(name + "'"); });
      });
    } else if (begins(name, "post")) {
      at.post([this, name] { note(name); });
    } else if (name == "io") {
      scope_->start(&Stage::read, std::ref(*this));
    } else if (name == "hooks") {
      prepare_ = at.on_prepare([this] { once(prepare_, "prepare"); });
      check_ = at.on_check([this] { once(check_, "check"); });
    } else if (name == "hooks_soon") {
      prepare_ = at.on_prepare([this] { from_hook(prepare_, "prepare"); });
      check_ = at.on_check([this] { from_hook(check_, "check"); });
    } else {
      ADD_FAILURE() << "unknown action " << name;
    }
  }
  void once(Hook& hook, const char* name) {
    hook.remove();
    note(name);
  }
  void from_hook(Hook& hook, const char* name) {
    hook.remove();
    Loop::current().call_soon([this, name] { note(name); });
  }
  /// Lets go what the row did not touch.
  void unwind() {
    ran_.reserve(ran_.size() + 16);
    record_ = false;
    for (Event& event : events_) event.set();
    release_.set();
    channel_.close();
    if (!promised_) promise_.promise.set(0);
    sleeper_->cancel();
  }
  void note_task(std::string name) {
    if (record_) note(std::move(name));
  }

  static Task<> run_task(Stage& self, std::string name) {
    self.note_task(name);
    co_return;
  }
  static Task<> wait_event(Stage& self, int n) {
    co_await self.events_[n].wait();
    self.note_task("woken" + std::to_string(n));
  }
  static Task<> receive(Stage& self) {
    if (co_await self.channel_.receive()) self.note_task("received");
  }
  static Task<> await_future(Stage& self) {
    static_cast<void>(co_await self.promise_.future);
    self.promised_ = true;
    self.note_task("future");
  }
  static Task<> sleep_for_ever(Stage& self) {
    const AtExit end([&self] { self.note_task("unwound"); });
    co_await sleep_for(1h);
  }
  static Task<> wait_release(Stage& self) {
    co_await self.release_.wait();
    self.note_task("child");
  }
  static Task<> join(Stage& self, JoinHandle<void> child) {
    static_cast<void>(co_await child);
    self.note_task("joined");
  }
  static Task<> read(Stage& self) {
    static_cast<void>(co_await read_text(self.pipe_.in));
    self.note_task("io");
  }

  EveryDriver& test_;
  std::size_t expected_;
  Words ran_;
  bool record_ = true;
  bool promised_ = false;
  Event all_ran_;
  Pipe pipe_;
  Scope* scope_ = nullptr;
  Event events_[3];
  Event release_;
  Channel<int> channel_{4};
  PromisePair<int> promise_ = make_promise<int>();
  JoinHandle<void>* sleeper_ = nullptr;
  std::vector<CallbackHandle> handles_;
  Hook prepare_;
  Hook check_;
};

constexpr Row k_table[] = {
    // First in, first out.
    {"callbacks run in the order of the calls", "soon1 soon2 soon3", "soon1 soon2 soon3"},
    {"a started task stands in the same queue", "soon1 task1 soon2 task2",
     "soon1 task1 soon2 task2"},
    {"a checkpoint goes to the end of the queue", "soon1 task1 turn", "soon1 task1 turn"},
    {"what is queued after the checkpoint comes after it", "turn soon1 turn", "turn soon1 turn"},
    {"a callback of a callback runs after what is queued, in the same iteration",
     "soon_soon1 soon2 post", "soon_soon1 soon2 soon_soon1' post"},
    {"a cancelled task unwinds in the order of the queue", "soon1 cancel soon2",
     "soon1 unwound soon2"},

    // The next slot.
    {"the first task that is woken takes the next slot", "soon1 wake soon2", "woken0 soon1 soon2"},
    {"of several the first takes it, the others keep their order", "soon1 wake_all soon2",
     "woken0 soon1 woken1 woken2 soon2"},
    {"the receiver of a channel takes it", "soon1 send", "received soon1"},
    {"a task that is started or gives up its turn does not", "soon1 task1 turn wake turn soon2",
     "soon1 task1 turn woken0 turn soon2"},
    {"each turn has one slot", "wake turn send turn", "woken0 turn received turn"},
    {"a slot's own wake takes the next one: child, then joiner", "soon1 release",
     "child joined soon1"},

    // Phases: io completes in the poll phase, then come timers, then posts.
    {"a due timer comes after what is ready, in the next iteration", "timer1 soon1 turn",
     "soon1 turn timer1"},
    {"a post comes after what is ready, in the next iteration", "post soon1 turn",
     "soon1 turn post"},
    {"timers stand before posts", "post timer", "timer post"},
    {"timers run by deadline, then in the order they were armed", "timer1 timer2 timer_past3",
     "timer_past3 timer1 timer2"},
    {"posts keep their order", "post1 post2 post3", "post1 post2 post3"},
    {"a completion of the poll phase stands before timers and posts", "post timer io soon1",
     "soon1 io timer post"},
    {"a post of a post waits for the iteration after, and its callbacks for their turn",
     "post_post1 post_soon2", "post_post1 post_soon2 post_soon2' post_post1'"},
    {"what a timer's callback queues runs after all that is due with it", "timer_soon1 timer2 post",
     "timer_soon1 timer2 post timer_soon1'"},
    {"a promise set on the loop is delivered as a post", "set_promise soon1 timer",
     "soon1 timer future"},
    {"the future's waiter takes the next slot of its post", "set_promise post", "future post"},

    // Hooks.
    {"prepare before, check after the completions are taken", "hooks io soon1 timer post",
     "soon1 prepare check io timer post"},
    {"what hooks queue stands on both sides of the completions", "hooks_soon io soon1 timer post",
     "soon1 prepare io check timer post"},

    // The budget: 4 entries, of which the task itself is the first.
    {"what is over the budget comes before the timers of the next iteration",
     "soon1 soon2 soon3 soon4 soon5 timer post", "soon1 soon2 soon3 soon4 soon5 timer post", 4},
    {"completions of the poll phase come after what was over the budget",
     "io soon1 soon2 soon3 soon4 timer", "soon1 soon2 soon3 soon4 io timer", 4},
    {"who waits in the next slot at the end of the budget keeps it", "soon1 wake_all timer",
     "woken0 soon1 woken1 woken2 timer", 1},
};

/// The table on each driver; rows are named in the failure.
class Order : public EveryDriver {};

TEST_P(Order, is_what_the_table_says) {
  for (const Row& row : k_table) {
    SCOPED_TRACE(std::string(row.rule) + " | " + row.does);
    const Words expected = words_of(row.runs);
    LoopOptions options = loop_options({.buffer_count = 64});
    options.ready_budget = row.budget;
    Words ran;
    run_on(std::move(options), [&]() -> Task<> {
      Stage stage(*this, expected.size());
      co_await stage.play(words_of(row.does));
      ran = stage.ran();
    });
    EXPECT_EQ(ran, expected);
  }
}

ON_EVERY_DRIVER(Order);

}  // namespace
}  // namespace rondo::testing
