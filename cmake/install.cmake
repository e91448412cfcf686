# SPDX-License-Identifier: Apache-2.0
# Headers, libraries, CMake package, pkg-config files, program, man page and completion.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/rondo")

install(DIRECTORY "${CMAKE_SOURCE_DIR}/include/rondo" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
        FILES_MATCHING PATTERN "*.hpp")
install(TARGETS rondo EXPORT rondo_targets ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(TARGETS rondo_sqlite EXPORT rondo_sqlite_targets ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(DIRECTORY "${CMAKE_SOURCE_DIR}/adapters/sqlite/include/rondo"
        DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" FILES_MATCHING PATTERN "*.hpp")
install(EXPORT rondo_sqlite_targets NAMESPACE rondo:: DESTINATION "${package_dir}")
install(EXPORT rondo_targets NAMESPACE rondo:: DESTINATION "${package_dir}")
configure_package_config_file("${CMAKE_SOURCE_DIR}/cmake/rondo-config.cmake.in"
  "${CMAKE_BINARY_DIR}/rondo-config.cmake" INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file("${CMAKE_BINARY_DIR}/rondo-config-version.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_BINARY_DIR}/rondo-config.cmake" "${CMAKE_BINARY_DIR}/rondo-config-version.cmake"
        "${CMAKE_SOURCE_DIR}/cmake/rondo-compilers.cmake" DESTINATION "${package_dir}")
foreach(module rondo rondo-sqlite)
  configure_file("${CMAKE_SOURCE_DIR}/cmake/${module}.pc.in" "${CMAKE_BINARY_DIR}/${module}.pc" @ONLY)
  install(FILES "${CMAKE_BINARY_DIR}/${module}.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
endforeach()
if(TARGET rondo-program)
  install(TARGETS rondo-program RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
  install(FILES "${CMAKE_SOURCE_DIR}/docs/man/rondo.1" DESTINATION "${CMAKE_INSTALL_MANDIR}/man1")
  install(FILES "${CMAKE_SOURCE_DIR}/tools/completions/rondo.bash"
          DESTINATION "${CMAKE_INSTALL_DATADIR}/bash-completion/completions" RENAME rondo)
endif()
