// SPDX-License-Identifier: Apache-2.0
// Makes the uring driver; the only thing that the driver factory knows of it.
#pragma once

#include <memory>

#include "rondo/io/driver.hpp"

namespace rondo::io::uring {

/// A driver whose ring belongs to the calling thread, or null with a positive errno in `error`.
std::unique_ptr<Driver> make(const DriverOptions& options, int& error);

}  // namespace rondo::io::uring
