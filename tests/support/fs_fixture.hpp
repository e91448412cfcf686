// SPDX-License-Identifier: Apache-2.0
// FileSystem: a test in a directory of its own, on every driver.
//
//   TEST_P(FileSystem, a_claim) {
//     in_directory([](std::string at) -> Task<> {
//       co_await fs::write_file(at + "a", "x").or_throw();
//     });
//   }
//
// Lifetime: the body and its captures live until in_directory() returns. Thread rule: one thread.
#pragma once

#include <span>
#include <string>

#include "every_driver.hpp"
#include "rondo/fs/dir.hpp"
#include "rondo/fs/directory.hpp"

namespace rondo::testing {

class FileSystem : public EveryDriver {
 protected:
  /// Runs `body(directory)` in a directory of its own, which is empty again at the end.
  template <class F>
  void in_directory(F body) {
    run([&]() -> Task<> {
      co_await fs::make_directories("/tmp").or_throw();
      co_await fs::with_temporary_directory([&](std::string path) { return body(path + "/"); });
    });
  }
};

constexpr Errc errc(int number) { return static_cast<Errc>(number); }

/// Text of that size in which no place looks like its neighbours.
inline std::string pattern(std::size_t size) {
  std::string text(size, ' ');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + (i * 7 + i / 251) % 26);
  return text;
}

inline ByteSpan span_of(std::string& text) { return std::as_writable_bytes(std::span(text)); }

}  // namespace rondo::testing
