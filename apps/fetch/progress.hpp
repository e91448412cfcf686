// SPDX-License-Identifier: Apache-2.0
// What `rondo fetch` says while it loads: on a terminal a bar for each file under way below the
// lines of those that are there; elsewhere a plain line for each file; or a JSON object.
//
//   Progress progress(loader, {.style = Progress::Style::bars}, standard_output);
//   loader.on_end = [&](const Item& item) { progress.ended(item); };
//   scope.start([&] { return progress.run(); });     // until finish()
//
// A terminal that is slow holds the lines up, never the loading.
// Lifetime: inside the run. Thread rule: the loop's thread.
#pragma once

#include <cstdint>
#include <string>

#include "fetch/loader.hpp"
#include "rondo/core/event.hpp"
#include "rondo/core/stream.hpp"

namespace rondo::fetch {

enum class Style : std::uint8_t { bars, lines, json, quiet };

class Progress {
 public:
  Progress(const Loader& loader, Style style, bool colours, ByteStream& out)
      : loader_(loader), style_(style), colours_(colours), out_(out) {}

  void ended(const Item& item);
  /// Writes ten times a second, until finish().
  Task<> run();
  void finish() noexcept { finished_.set(); }
  /// The lines that end a run; `sequential` zero: not measured.
  std::string summary(Duration sequential, const std::string& waterfall) const;

 private:
  struct Size {
    std::size_t rows = 24;
    std::size_t columns = 80;
  };
  static Size terminal_size() noexcept;
  std::string line_of(const Item& item) const;
  std::string frame();
  std::string bar_line(const Item& item, std::size_t columns) const;

  const Loader& loader_;
  Style style_;
  bool colours_;
  ByteStream& out_;
  std::string pending_;    ///< lines of files that have ended
  std::size_t drawn_ = 0;  ///< lines of the last frame, below the cursor's line
  Event finished_;
};

/// One line for `--json`: what is known of a file.
std::string json_of(const Item& item);

}  // namespace rondo::fetch
