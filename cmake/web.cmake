# SPDX-License-Identifier: Apache-2.0
# A web page, built by npm in the source tree (tools/build-web) and embedded into the program.

# rondo_embed(TARGET name PAGE folder-with-package.json): adds assets() of
# chat/server/assets.hpp to the target. With RONDO_WEB=OFF the table is empty, on purpose.
function(rondo_embed)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "TARGET;PAGE" "")
  set(page "${CMAKE_SOURCE_DIR}/${arg_PAGE}")
  set(out "${CMAKE_BINARY_DIR}/web/${arg_TARGET}")
  set(stamp "${out}/page.stamp")
  file(MAKE_DIRECTORY "${out}")
  if(RONDO_WEB AND EXISTS "${page}/package.json")
    find_program(RONDO_NODE NAMES node nodejs)
    find_program(RONDO_NPM npm)
    if(RONDO_NODE AND RONDO_NPM)
      file(GLOB_RECURSE inputs CONFIGURE_DEPENDS
           "${page}/src/*" "${page}/public/*" "${CMAKE_SOURCE_DIR}/web/ui/*")
      file(GLOB files CONFIGURE_DEPENDS "${page}/*.json" "${page}/*.ts" "${page}/*.html")
      list(APPEND inputs ${files})
      add_custom_command(OUTPUT "${stamp}"
        COMMAND "${CMAKE_SOURCE_DIR}/tools/build-web" "${arg_PAGE}"
        COMMAND "${CMAKE_COMMAND}" -E touch "${stamp}"
        DEPENDS ${inputs} "${CMAKE_SOURCE_DIR}/tools/build-web"
        WORKING_DIRECTORY "${CMAKE_SOURCE_DIR}"
        COMMENT "Building the page ${arg_PAGE}" VERBATIM)
    elseif(EXISTS "${page}/dist/index.html")
      message(STATUS "node or npm is missing: embedding ${arg_PAGE}/dist as it was last built")
      file(TOUCH "${stamp}")
    else()
      message(FATAL_ERROR "The page ${arg_PAGE} cannot be built: node (18 or later) or npm is "
        "missing. On Debian 12: apt-get install nodejs npm. To build programs without their "
        "pages, say so: -DRONDO_WEB=OFF")
    endif()
    set(dist "${page}/dist")
  else()
    if(RONDO_WEB)
      message(WARNING "${arg_PAGE}/package.json is missing: ${arg_TARGET} gets no page")
    else()
      message(STATUS "RONDO_WEB=OFF: ${arg_TARGET} gets no page")
    endif()
    file(TOUCH "${stamp}")
    set(dist "${out}/nothing")
  endif()
  add_custom_command(OUTPUT "${out}/assets.cpp" "${out}/assets.S"
    COMMAND "${CMAKE_COMMAND}" "-DDIST=${dist}" "-DOUT=${out}"
            -P "${CMAKE_SOURCE_DIR}/cmake/embed.cmake"
    DEPENDS "${stamp}" "${CMAKE_SOURCE_DIR}/cmake/embed.cmake"
    COMMENT "Embedding ${arg_PAGE}" VERBATIM)
  # .incbin is unseen by dependency scans: the bytes change only together with the listing.
  set_source_files_properties("${out}/assets.S" PROPERTIES OBJECT_DEPENDS "${stamp}")
  target_sources(${arg_TARGET} PRIVATE "${out}/assets.cpp" "${out}/assets.S")
endfunction()
