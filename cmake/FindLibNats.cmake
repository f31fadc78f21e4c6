# nats.c as LibNats::LibNats. Its own package file names a static library too, which Debian does not ship, and then fails.
find_path(LibNats_INCLUDE_DIR nats/nats.h)
find_library(LibNats_LIBRARY nats)
if(LibNats_INCLUDE_DIR)
  file(STRINGS ${LibNats_INCLUDE_DIR}/nats/version.h LibNats_VERSION REGEX "define NATS_VERSION_STRING")
  string(REGEX REPLACE ".*\"([0-9.]+).*" "\\1" LibNats_VERSION "${LibNats_VERSION}")
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibNats REQUIRED_VARS LibNats_LIBRARY LibNats_INCLUDE_DIR
                                  VERSION_VAR LibNats_VERSION)
if(LibNats_FOUND AND NOT TARGET LibNats::LibNats)
  add_library(LibNats::LibNats UNKNOWN IMPORTED)
  set_target_properties(LibNats::LibNats PROPERTIES IMPORTED_LOCATION ${LibNats_LIBRARY}
                                                    INTERFACE_INCLUDE_DIRECTORIES ${LibNats_INCLUDE_DIR})
endif()
mark_as_advanced(LibNats_INCLUDE_DIR LibNats_LIBRARY)
