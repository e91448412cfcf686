# SPDX-License-Identifier: Apache-2.0
# Writes OUT/assets.S (the bytes of every file in DIST) and OUT/assets.cpp (the table over them).
# Text is stored a second time gzipped, for clients that accept it. Run by cmake -P.
cmake_minimum_required(VERSION 3.25)
# Its own copy: another build directory may build the page anew while this one assembles.
file(REMOVE_RECURSE "${OUT}/files")
if(EXISTS "${DIST}")
  file(COPY "${DIST}/" DESTINATION "${OUT}/files")
endif()
set(DIST "${OUT}/files")
file(GLOB_RECURSE files RELATIVE "${DIST}" "${DIST}/*")
list(FILTER files EXCLUDE REGEX "\\.(gz|map)$")
list(SORT files)

set(types
  html "text/html\\; charset=utf-8" js "text/javascript\\; charset=utf-8"
  css "text/css\\; charset=utf-8" json "application/json" svg "image/svg+xml" png "image/png"
  ico "image/x-icon" woff2 "font/woff2" woff "font/woff" txt "text/plain\\; charset=utf-8"
  webmanifest "application/manifest+json" webp "image/webp")
set(compressible html js css json svg txt webmanifest)

set(assembly "  .section .rodata\n")
set(declarations "")
set(rows "")
set(index 0)
find_program(GZIP gzip REQUIRED)
file(REMOVE_RECURSE "${OUT}/gzip")

macro(embed_bytes symbol file)
  string(APPEND assembly "  .balign 16\n  .globl ${symbol}\n  .globl ${symbol}_end\n"
                         "${symbol}:\n  .incbin \"${file}\"\n${symbol}_end:\n")
  string(APPEND declarations "extern const std::byte ${symbol}[];\nextern const std::byte ${symbol}_end[];\n")
endmacro()

foreach(name IN LISTS files)
  string(REGEX MATCH "[^.]*$" extension "${name}")
  list(FIND types "${extension}" at)
  if(at EQUAL -1)
    message(FATAL_ERROR "${name}: no content type is known for .${extension}; add it to cmake/embed.cmake")
  endif()
  math(EXPR at "${at} + 1")
  list(GET types ${at} type)
  file(SHA256 "${DIST}/${name}" hash)
  string(SUBSTRING "${hash}" 0 16 tag)
  embed_bytes(rondo_asset_${index} "${DIST}/${name}")
  set(gzip "{}")
  if(extension IN_LIST compressible)
    set(packed "${OUT}/gzip/${name}.gz")
    get_filename_component(folder "${packed}" DIRECTORY)
    file(MAKE_DIRECTORY "${folder}")
    execute_process(COMMAND "${GZIP}" -9nc "${DIST}/${name}" OUTPUT_FILE "${packed}"
                    COMMAND_ERROR_IS_FATAL ANY)
    embed_bytes(rondo_asset_${index}_gzip "${packed}")
    set(gzip "{rondo_asset_${index}_gzip, rondo_asset_${index}_gzip_end}")
  endif()
  string(APPEND rows "      {\"/${name}\", \"${type}\", \"\\\"${tag}\\\"\",\n"
    "       {rondo_asset_${index}, rondo_asset_${index}_end}, ${gzip}},\n")
  math(EXPR index "${index} + 1")
endforeach()

if(index EQUAL 0)
  set(body "  return {};\n")
else()
  set(body "  static const Asset table[] = {\n${rows}  };\n  return table;\n")
endif()
file(WRITE "${OUT}/assets.S" "${assembly}  .section .note.GNU-stack,\"\",@progbits\n")
file(WRITE "${OUT}/assets.cpp" "// Written by cmake/embed.cmake.\n"
  "#include \"chat/server/assets.hpp\"\n\n#include <cstddef>\n#include <span>\n\n"
  "extern \"C\" {\n${declarations}}\n\n"
  "namespace rondo::chat {\n\nstd::span<const Asset> assets() {\n${body}}\n\n}  // namespace rondo::chat\n")
