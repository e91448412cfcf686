// SPDX-License-Identifier: Apache-2.0
#include "serve/access_log.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "rondo/core/loop.hpp"
#include "rondo/process/stdio.hpp"

namespace rondo::serve {
namespace {

std::string quoted(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\')
      out.append("\\").push_back(c);
    else if (byte < 0x20 || byte >= 0x7F)
      out += fmt::format("\\x{:02x}", byte);
    else
      out += c;
  }
  return out;
}

}  // namespace

std::string log_line(const http::Request& request, std::string_view time, int status,
                     std::uint64_t size) {
  const std::string_view host = request.peer().substr(0, request.peer().rfind(':'));
  return fmt::format("{} - - [{}] \"{} {} {}\" {} {}", host.empty() ? "-" : host, time,
                     quoted(request.method_text()), quoted(request.target()), request.version(),
                     status, size);
}

Task<Result<std::unique_ptr<AccessLog>>> AccessLog::open(std::string path) {
  if (path == "-") {
    auto output = process::standard_output();
    if (!output) co_return output.error();
    co_return std::make_unique<AccessLog>(std::move(*output));
  }
  auto file = co_await fs::File::open(std::move(path), {.append = true, .create = true});
  if (!file) co_return file.error();
  co_return std::make_unique<AccessLog>(std::move(*file));
}

void AccessLog::note(const http::Request& request, const http::Response& response) {
  const auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>(loop().wall_time().time_since_epoch());
  const std::tm utc = fmt::gmtime(static_cast<std::time_t>(seconds.count()));
  const std::string time = fmt::format("{:%d/%b/%Y:%H:%M:%S +0000}", utc);
  std::string line = log_line(request, time, response.status(), response.body_size());
  if (missed_ > 0) line += fmt::format(" ({} lines before this one are missing)", missed_);
  if (lines_.try_send(line + "\n"))
    missed_ = 0;
  else
    ++missed_;
}

Task<Result<>> AccessLog::write(std::string_view text) {
  if (auto* file = std::get_if<fs::File>(&target_)) co_return co_await file->write_all(text);
  co_return co_await std::get<process::PipeStream>(target_).write_all(text);
}

Task<Result<>> AccessLog::run() {
  while (auto line = co_await lines_.receive()) {
    std::string batch = std::move(*line);
    while (auto more = lines_.try_receive()) batch += *more;
    if (auto written = co_await write(batch); !written) co_return written;
  }
  if (auto* stream = std::get_if<process::PipeStream>(&target_)) co_return co_await stream->flush();
  co_return Result<>();
}

}  // namespace rondo::serve
