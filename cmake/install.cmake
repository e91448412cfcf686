# SPDX-License-Identifier: Apache-2.0
# Headers, library, CMake package, pkg-config file, program, man page and completion.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/rondo")

install(DIRECTORY "${CMAKE_SOURCE_DIR}/include/rondo" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
        FILES_MATCHING PATTERN "*.hpp")
install(TARGETS rondo EXPORT rondo_targets ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(EXPORT rondo_targets NAMESPACE rondo:: DESTINATION "${package_dir}")
configure_package_config_file("${CMAKE_SOURCE_DIR}/cmake/rondo-config.cmake.in"
  "${CMAKE_BINARY_DIR}/rondo-config.cmake" INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file("${CMAKE_BINARY_DIR}/rondo-config-version.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_BINARY_DIR}/rondo-config.cmake" "${CMAKE_BINARY_DIR}/rondo-config-version.cmake"
        DESTINATION "${package_dir}")
configure_file("${CMAKE_SOURCE_DIR}/cmake/rondo.pc.in" "${CMAKE_BINARY_DIR}/rondo.pc" @ONLY)
install(FILES "${CMAKE_BINARY_DIR}/rondo.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
if(TARGET rondo-program)
  install(TARGETS rondo-program RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
  install(FILES "${CMAKE_SOURCE_DIR}/docs/man/rondo.1" DESTINATION "${CMAKE_INSTALL_MANDIR}/man1")
  install(FILES "${CMAKE_SOURCE_DIR}/tools/completions/rondo.bash"
          DESTINATION "${CMAKE_INSTALL_DATADIR}/bash-completion/completions" RENAME rondo)
endif()
