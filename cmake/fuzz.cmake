# SPDX-License-Identifier: Apache-2.0
# tests/fuzz/NAME_fuzz.cpp defines LLVMFuzzerTestOneInput; its corpus is tests/fuzz/corpus/NAME.
file(GLOB fuzz_sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/tests/fuzz/*_fuzz.cpp")
add_custom_target(rondo_all_fuzz)
foreach(source IN LISTS fuzz_sources)
  get_filename_component(name "${source}" NAME_WE)
  add_executable(${name} "${source}")
  target_include_directories(${name} PRIVATE "${CMAKE_SOURCE_DIR}/src" "${CMAKE_SOURCE_DIR}/tests/support")
  target_link_libraries(${name} PRIVATE rondo rondo_warnings)
  if(TARGET rondo_apps)
    target_link_libraries(${name} PRIVATE rondo_apps)
  endif()
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/fuzz")
  add_dependencies(rondo_all_fuzz ${name})
endforeach()
# Coverage guides the fuzzer only if the library is instrumented too.
target_compile_options(rondo_flags INTERFACE -fsanitize=fuzzer-no-link)
