// SPDX-License-Identifier: Apache-2.0
// The terminal over the classic protocol (classic_codec.hpp).
//
// Lifetime: options are copied. Thread rule: the loop's thread.
#pragma once

#include "chat/join/client.hpp"
#include "rondo/process/pipe.hpp"

namespace rondo::chat {

/// Says every line of `input` and shows what others say, until the input ends and what was said
/// has left, or the server closes. Returns the exit status. The protocol acknowledges nothing.
Task<int> run_classic_client(JoinOptions options, Client::Output output, process::Input& input);

}  // namespace rondo::chat
