# SPDX-License-Identifier: Apache-2.0
# The program `rondo` (apps/rondo is its main, every other folder of apps/ a subcommand's code)
# and `rondo-sim`.

# Everything but main, so that the apps' own tests can link it.
file(GLOB_RECURSE app_sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/apps/*.cpp")
list(FILTER app_sources EXCLUDE REGEX "/apps/(rondo|sim)/|/tests/|/node_modules/|/web/")
if(app_sources)
  add_library(rondo_apps STATIC EXCLUDE_FROM_ALL ${app_sources})
  target_include_directories(rondo_apps PUBLIC "${CMAKE_SOURCE_DIR}/apps")
  target_compile_definitions(rondo_apps PUBLIC RONDO_VERSION="${PROJECT_VERSION}")
  target_link_libraries(rondo_apps
    PUBLIC rondo ${RONDO_ADAPTERS} Boost::json PkgConfig::sodium PkgConfig::spdlog PkgConfig::fmt
           PkgConfig::tomlplusplus PkgConfig::cli11 PkgConfig::sqlite PkgConfig::gumbo
    PRIVATE rondo_warnings)
  # Third-party headers are slow to parse and the same everywhere here.
  if(EXISTS "${CMAKE_SOURCE_DIR}/apps/chat/server/assets.hpp")
    rondo_embed(TARGET rondo_apps PAGE apps/chat/web)
  endif()
endif()

function(rondo_program name)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${ARGN})
  if(sources AND TARGET rondo_apps)
    add_executable(${name} ${sources})
    target_link_libraries(${name} PRIVATE rondo_apps rondo_warnings)
  endif()
endfunction()
rondo_program(rondo-program "${CMAKE_SOURCE_DIR}/apps/rondo/*.cpp")
if(TARGET rondo-program)
  set_target_properties(rondo-program PROPERTIES OUTPUT_NAME rondo)
endif()
rondo_program(rondo-sim "${CMAKE_SOURCE_DIR}/apps/sim/*.cpp")
if(TARGET rondo-sim)
  target_link_libraries(rondo-sim PRIVATE rondo_sqlite_sim)
endif()
