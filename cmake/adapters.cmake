# SPDX-License-Identifier: Apache-2.0
# Adapters: each its own target over the public headers and its client library.
set(RONDO_ADAPTERS "")
file(GLOB adapter_folders CONFIGURE_DEPENDS LIST_DIRECTORIES true "${CMAKE_SOURCE_DIR}/adapters/*")
set(adapter_sqlite_libraries PkgConfig::sqlite)
foreach(folder IN LISTS adapter_folders)
  get_filename_component(name "${folder}" NAME)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${folder}/*.cpp")
  list(FILTER sources EXCLUDE REGEX "/tests/")
  if(NOT sources)
    continue()
  endif()
  add_library(rondo_${name} STATIC ${sources})
  add_library(rondo::${name} ALIAS rondo_${name})
  set_target_properties(rondo_${name} PROPERTIES EXPORT_NAME ${name})
  target_include_directories(rondo_${name}
    PUBLIC $<BUILD_INTERFACE:${folder}/include> $<INSTALL_INTERFACE:include> PRIVATE "${folder}/src")
  target_link_libraries(rondo_${name}
    PUBLIC rondo PRIVATE $<BUILD_INTERFACE:rondo_warnings> ${adapter_${name}_libraries})
  list(APPEND RONDO_ADAPTERS rondo_${name})
endforeach()

# SQLite on the simulated disk: for the adapter's tests and for rondo-sim.
if(TARGET rondo_sqlite)
  add_library(rondo_sqlite_sim STATIC EXCLUDE_FROM_ALL
    "${CMAKE_SOURCE_DIR}/adapters/sqlite/tests/sim_vfs.cpp")
  target_include_directories(rondo_sqlite_sim PUBLIC "${CMAKE_SOURCE_DIR}/adapters")
  target_link_libraries(rondo_sqlite_sim
    PUBLIC rondo_sqlite PRIVATE rondo_warnings PkgConfig::sqlite)
endif()
