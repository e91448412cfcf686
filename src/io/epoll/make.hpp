// SPDX-License-Identifier: Apache-2.0
// Makes the epoll driver; the only thing that the driver factory knows of it.
#pragma once

#include <memory>

#include "rondo/io/driver.hpp"

namespace rondo::io::epoll {

/// Throws SystemError when the process is out of descriptors.
std::unique_ptr<Driver> make(const DriverOptions& options);

}  // namespace rondo::io::epoll
