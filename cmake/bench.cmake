# SPDX-License-Identifier: Apache-2.0
# The contender for bench/peers, written on the public headers alone.
foreach(name server micro)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/bench/${name}/*.cpp")
  if(sources)
    add_executable(rondo-bench-${name} ${sources})
    target_link_libraries(rondo-bench-${name} PRIVATE rondo rondo_warnings)
  endif()
endforeach()
