// SPDX-License-Identifier: Apache-2.0
#include "rondo/io/driver.hpp"

namespace rondo::io {

Driver::~Driver() = default;

}  // namespace rondo::io
