// SPDX-License-Identifier: Apache-2.0
// The client's side of HTTP/2 for tests, frame by frame: what a real client would never send can
// be written, and what the server said is taken apart. Heads are packed as literals; those of the
// server are unpacked by nghttp2.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rondo::testing::h2 {

enum : std::uint8_t {
  k_data = 0, k_headers = 1, k_priority = 2, k_rst_stream = 3, k_settings = 4, k_ping = 6,
  k_goaway = 7, k_window_update = 8, k_continuation = 9
};
enum : std::uint8_t { k_end_stream = 1, k_ack = 1, k_end_headers = 4, k_padded = 8 };

inline std::string number(std::uint32_t value, int bytes = 4) {
  std::string text;
  for (int i = bytes - 1; i >= 0; --i) text.push_back(static_cast<char>(value >> (8 * i)));
  return text;
}

inline std::string frame(std::uint8_t type, std::uint8_t flags, std::uint32_t id,
                         std::string_view payload = {}) {
  std::string text = number(static_cast<std::uint32_t>(payload.size()), 3);
  text.push_back(static_cast<char>(type));
  text.push_back(static_cast<char>(flags));
  return text.append(number(id)).append(payload);
}

inline std::string setting(std::uint16_t name, std::uint32_t value) {
  return number(name, 2) + number(value);
}

inline std::string preface(std::string_view settings = {}) {
  return "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(k_settings, 0, 0, settings);
}

/// A length of HPACK with a prefix of 7 bits.
inline std::string packed_length(std::size_t size) {
  std::string text;
  if (size < 127) return text.assign(1, static_cast<char>(size));
  text.push_back(127);
  for (size -= 127; size >= 128; size /= 128) text.push_back(static_cast<char>(size % 128 + 128));
  text.push_back(static_cast<char>(size));
  return text;
}

using Fields = std::vector<std::pair<std::string, std::string>>;

inline std::string pack(const Fields& fields) {
  std::string text;
  for (const auto& [name, value] : fields) {
    text.push_back(0);  // Literal, not indexed, with a new name.
    text.append(packed_length(name.size())).append(name);
    text.append(packed_length(value.size())).append(value);
  }
  return text;
}

inline Fields head_of(std::string_view method, std::string_view path, const Fields& more = {}) {
  Fields fields = {{":method", std::string(method)},
                   {":scheme", "http"},
                   {":authority", "a"},
                   {":path", std::string(path)}};
  fields.insert(fields.end(), more.begin(), more.end());
  return fields;
}

inline std::string headers(std::uint32_t id, const Fields& fields, bool ended = true) {
  return frame(k_headers, k_end_headers | (ended ? k_end_stream : 0), id, pack(fields));
}

inline std::string get(std::uint32_t id, std::string_view path, const Fields& more = {}) {
  return headers(id, head_of("GET", path, more));
}

inline std::string post(std::uint32_t id, std::string_view path, std::string_view body,
                        const Fields& more = {}) {
  std::string text = headers(id, head_of("POST", path, more), false);
  do {
    const std::string_view piece = body.substr(0, 16'384);
    body.remove_prefix(piece.size());
    text.append(frame(k_data, body.empty() ? k_end_stream : 0, id, piece));
  } while (!body.empty());
  return text;
}

inline std::string data(std::uint32_t id, std::string_view piece, bool ended = false) {
  return frame(k_data, ended ? k_end_stream : 0, id, piece);
}
inline std::string reset(std::uint32_t id, std::uint32_t code = 8) {
  return frame(k_rst_stream, 0, id, number(code));
}
inline std::string window(std::uint32_t id, std::uint32_t more) {
  return frame(k_window_update, 0, id, number(more));
}

/// What the server said, frame by frame.
class Heard {
 public:
  struct Answer {
    int status = 0;
    std::vector<int> early;              ///< statuses 1xx
    std::map<std::string, std::string> fields;
    std::string body;
    int data_frames = 0;
    bool ended = false;
    int reset = -1;                      ///< the code of RST_STREAM
  };

  Heard() { nghttp2_hd_inflate_new(&inflater_); }
  Heard(const Heard&) = delete;
  ~Heard() { nghttp2_hd_inflate_del(inflater_); }

  void take(std::string_view bytes) {
    rest_.append(bytes);
    while (rest_.size() >= 9) {
      const std::size_t size = read(0, 3);
      if (rest_.size() < 9 + size) break;
      frame(static_cast<std::uint8_t>(rest_[3]), static_cast<std::uint8_t>(rest_[4]), read(5, 4),
            std::string_view(rest_).substr(9, size));
      rest_.erase(0, 9 + size);
    }
  }

  Answer& operator[](std::uint32_t id) { return answers[id]; }

  std::map<std::uint32_t, Answer> answers;
  std::map<std::uint16_t, std::uint32_t> settings;
  std::map<std::uint32_t, std::uint64_t> windows;  ///< what WINDOW_UPDATE frames added
  std::vector<std::uint32_t> goaways;              ///< last streams
  int goaway = -1;                                 ///< the last one's code
  std::vector<std::string> pings;                  ///< of the server's own
  int acks = 0;

 private:
  std::uint32_t read(std::size_t at, std::size_t bytes) const {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < bytes; ++i)
      value = value << 8 | static_cast<std::uint8_t>(rest_[at + i]);
    return value;
  }

  void frame(std::uint8_t type, std::uint8_t flags, std::uint32_t id, std::string_view payload) {
    Answer& answer = answers[id];
    switch (type) {
      case k_data:
        answer.body.append(payload);
        ++answer.data_frames;
        break;
      case k_headers:
        block_.clear();
        block_.append(payload);
        break;
      case k_continuation:
        block_.append(payload);
        break;
      case k_rst_stream:
        answer.reset = static_cast<int>(read(9, 4));
        break;
      case k_settings:
        if ((flags & k_ack) != 0) ++acks;
        for (std::size_t at = 9; at + 6 <= 9 + payload.size(); at += 6)
          settings[static_cast<std::uint16_t>(read(at, 2))] = read(at + 2, 4);
        break;
      case k_ping:
        if ((flags & k_ack) != 0) ++acks;
        else pings.emplace_back(payload);
        break;
      case k_goaway:
        goaways.push_back(read(9, 4));
        goaway = static_cast<int>(read(13, 4));
        break;
      case k_window_update:
        windows[id] += read(9, 4);
        break;
      default:
        break;
    }
    const bool is_head = type == k_headers || type == k_continuation;
    if (is_head && (flags & k_end_headers) != 0) unpack(answer);
    if ((type == k_data || type == k_headers) && (flags & k_end_stream) != 0) answer.ended = true;
    if (id == 0) answers.erase(0);
  }

  void unpack(Answer& answer) {
    auto* at = reinterpret_cast<const std::uint8_t*>(block_.data());
    std::size_t left = block_.size();
    for (int flags = 0; (flags & NGHTTP2_HD_INFLATE_FINAL) == 0;) {
      nghttp2_nv nv;
      const auto used = nghttp2_hd_inflate_hd2(inflater_, &nv, &flags, at, left, 1);
      if (used < 0) return;
      at += used;
      left -= static_cast<std::size_t>(used);
      if ((flags & NGHTTP2_HD_INFLATE_EMIT) == 0) continue;
      const std::string name(reinterpret_cast<char*>(nv.name), nv.namelen);
      const std::string value(reinterpret_cast<char*>(nv.value), nv.valuelen);
      if (name != ":status") answer.fields[name] = value;
      else if (value[0] == '1') answer.early.push_back(std::stoi(value));
      else answer.status = std::stoi(value);
    }
    nghttp2_hd_inflate_end_headers(inflater_);
  }

  nghttp2_hd_inflater* inflater_ = nullptr;
  std::string rest_;
  std::string block_;
};

}  // namespace rondo::testing::h2
