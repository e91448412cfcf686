// SPDX-License-Identifier: Apache-2.0
// The benchmark server's modes that stand in files of their own.
#pragma once

#include <string>

#include "rondo/core/task.hpp"

namespace bench {

/// Says on standard output that connections are accepted.
void ready();

enum class Transport : bool { plain, tls };

rondo::Task<> http(std::string port, Transport transport);
rondo::Task<> ws_echo(std::string port, Transport transport);
rondo::Task<> ws_fan(std::string port);

}  // namespace bench
