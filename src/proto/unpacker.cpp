// SPDX-License-Identifier: Apache-2.0
// One engine for each coding. An engine is called until it neither takes nor gives anything:
// what a library holds back comes out before more goes in.
#include <brotli/decode.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "rondo/proto/compress.hpp"

namespace rondo::proto {
namespace detail {

class UnpackEngine {
 public:
  UnpackEngine() = default;
  UnpackEngine(const UnpackEngine&) = delete;
  virtual ~UnpackEngine() = default;

  struct Step {
    std::size_t taken = 0;
    std::size_t given = 0;
    bool member_ends = false;
    Errc failed = Errc{0};
  };
  virtual Step step(ByteView input, ByteSpan into) = 0;
  virtual void begin_member() = 0;

  bool at_end = true;
  Errc failed = Errc{0};
};

namespace {

class Gunzip final : public UnpackEngine {
 public:
  Gunzip() {
    if (::inflateInit2(&stream_, MAX_WBITS + 16) != Z_OK) failed = Errc::no_memory;
  }
  ~Gunzip() override { ::inflateEnd(&stream_); }

  Step step(ByteView input, ByteSpan into) override {
    constexpr std::size_t k_most = 1U << 30;  // zlib counts in 32 bits.
    const auto in = static_cast<uInt>(std::min(input.size(), k_most));
    const auto out = static_cast<uInt>(std::min(into.size(), k_most));
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(input.data()));
    stream_.avail_in = in;
    stream_.next_out = reinterpret_cast<Bytef*>(into.data());
    stream_.avail_out = out;
    const int status = ::inflate(&stream_, Z_NO_FLUSH);
    Step done{.taken = in - stream_.avail_in, .given = out - stream_.avail_out};
    done.member_ends = status == Z_STREAM_END;
    const bool good = status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR;
    if (!good) done.failed = status == Z_MEM_ERROR ? Errc::no_memory : Errc::bad_message;
    return done;
  }
  void begin_member() override { ::inflateReset(&stream_); }

 private:
  z_stream stream_{};
};

class Unbrotli final : public UnpackEngine {
 public:
  Unbrotli() : state_(::BrotliDecoderCreateInstance(nullptr, nullptr, nullptr)) {
    if (!state_) failed = Errc::no_memory;
  }
  ~Unbrotli() override {
    if (state_) ::BrotliDecoderDestroyInstance(state_);
  }

  Step step(ByteView input, ByteSpan into) override {
    std::size_t in = input.size();
    std::size_t out = into.size();
    auto* from = reinterpret_cast<const std::uint8_t*>(input.data());
    auto* to = reinterpret_cast<std::uint8_t*>(into.data());
    const auto status = ::BrotliDecoderDecompressStream(state_, &in, &from, &out, &to, nullptr);
    Step done{.taken = input.size() - in, .given = into.size() - out};
    done.member_ends = status == BROTLI_DECODER_RESULT_SUCCESS;
    if (status == BROTLI_DECODER_RESULT_ERROR) done.failed = Errc::bad_message;
    return done;
  }
  /// The format has one member: what follows is not of it.
  void begin_member() override { failed = Errc::bad_message; }

 private:
  BrotliDecoderState* state_;
};

class Unzstd final : public UnpackEngine {
 public:
  Unzstd() : state_(::ZSTD_createDCtx()) {
    constexpr int k_window_log = 23;  // 8 MiB: RFC 9659.
    if (!state_)
      failed = Errc::no_memory;
    else
      ::ZSTD_DCtx_setParameter(state_, ZSTD_d_windowLogMax, k_window_log);
  }
  ~Unzstd() override { ::ZSTD_freeDCtx(state_); }

  Step step(ByteView input, ByteSpan into) override {
    ZSTD_inBuffer in{input.data(), input.size(), 0};
    ZSTD_outBuffer out{into.data(), into.size(), 0};
    const std::size_t left = ::ZSTD_decompressStream(state_, &out, &in);
    Step done{.taken = in.pos, .given = out.pos};
    done.member_ends = left == 0;
    if (::ZSTD_isError(left)) {
      const bool window = ::ZSTD_getErrorCode(left) == ZSTD_error_frameParameter_windowTooLarge;
      done.failed = window ? Errc::too_large : Errc::bad_message;
    }
    return done;
  }
  void begin_member() override {}  // It does so by itself.

 private:
  ZSTD_DCtx* state_;
};

Owned<UnpackEngine> make_engine(Coding coding) {
  switch (coding) {
    case Coding::gzip:
      return std::make_unique<Gunzip>();
    case Coding::brotli:
      return std::make_unique<Unbrotli>();
    case Coding::zstd:
      return std::make_unique<Unzstd>();
  }
  return nullptr;
}

}  // namespace
}  // namespace detail

Unpacker::Unpacker(Coding coding) : engine_(detail::make_engine(coding)) {}
Unpacker::Unpacker(Unpacker&& other) noexcept = default;
Unpacker::~Unpacker() = default;

bool Unpacker::at_end() const noexcept { return engine_->at_end; }

Result<std::size_t> Unpacker::next(ByteView& input, ByteSpan into) {
  detail::UnpackEngine& engine = *engine_;
  bool fresh = false;  // A member has just begun: it may take nothing from no input.
  while (engine.failed == Errc{0}) {
    if (engine.at_end) {
      if (input.empty()) return std::size_t{0};
      if (std::exchange(begun_, true)) engine.begin_member();
      if (engine.failed != Errc{0}) break;
      engine.at_end = false;
      fresh = true;
    }
    const auto step = engine.step(input, into);
    input = input.subspan(step.taken);
    engine.failed = step.failed;
    if (step.member_ends && (!fresh || step.taken > 0)) engine.at_end = true;
    if (step.failed == Errc{0} && step.given > 0) return step.given;
    if (step.failed == Errc{0} && step.taken == 0 && !engine.at_end) {
      if (input.empty()) return std::size_t{0};
      engine.failed = Errc::bad_message;  // It takes no more, and wants more.
    }
  }
  return Error(engine.failed, "unpack");
}

}  // namespace rondo::proto
