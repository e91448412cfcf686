// SPDX-License-Identifier: Apache-2.0
// Frames come in pairs: who, then what.
#include "chat/join/classic_client.hpp"

#include <optional>

#include "chat/server/classic_codec.hpp"
#include "chat/server/text.hpp"
#include "cli/text.hpp"
#include "rondo/core/when.hpp"

namespace rondo::chat {

namespace {

Task<> show_others(tcp::Stream& stream, Client::Output& output) {
  ClassicReader reader;
  std::optional<std::string> name;
  for (;;) {
    auto got = co_await stream.read();
    if (!got || got->empty()) co_return;
    reader.feed(got->text());
    for (;;) {
      auto frame = reader.next();
      if (!frame) co_return;
      if (!*frame) break;
      if (!name) {
        name = std::move(**frame);
        continue;
      }
      output.show(cli::terminal_text(*name) + ": " + cli::terminal_text(**frame));
      name.reset();
    }
  }
}

Task<bool> say_lines(tcp::Stream& stream, process::Input& input) {
  for (;;) {
    auto line = co_await input.read_line();
    if (!line && line.error() == Errc::too_large) continue;
    if (!line || !*line) break;
    if (!is_body(**line)) continue;
    if (!co_await stream.write_all(classic_frame(**line))) co_return false;
  }
  co_return (co_await stream.flush()).has_value();
}

}  // namespace

Task<int> run_classic_client(JoinOptions options, Client::Output output, process::Input& input) {
  auto stream = co_await tcp::connect(options.classic);
  if (!stream) {
    output.warn("cannot connect to " + options.classic + ": " + describe(stream.error().code()) +
                " (is `rondo chat` running there?)");
    co_return 1;
  }
  if (!co_await stream->write_all(classic_frame(options.name))) co_return 1;
  if (options.greet) {
    output.show("Connected to " + options.classic + " as " + options.name + ".");
    output.show("A line and Enter says it; Ctrl+D leaves.");
  }
  auto ended = co_await when_any(show_others(*stream, output), say_lines(*stream, input));
  const auto& said = std::get<1>(ended.values);
  if (said && *said) co_return 0;
  output.warn("the server closed the connection");
  co_return 1;
}

}  // namespace rondo::chat
