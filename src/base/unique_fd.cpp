// SPDX-License-Identifier: Apache-2.0
#include "rondo/base/unique_fd.hpp"

#include <unistd.h>

namespace rondo {

void UniqueFd::reset(int fd) noexcept {
  if (fd_ >= 0) ::close(fd_);  // A close that fails has released the number all the same (Linux).
  fd_ = fd;
}

}  // namespace rondo
