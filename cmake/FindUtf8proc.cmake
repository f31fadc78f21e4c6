# utf8proc as Utf8proc::Utf8proc. Debian ships no CMake package of it.
find_path(Utf8proc_INCLUDE_DIR utf8proc.h)
find_library(Utf8proc_LIBRARY utf8proc)
if(Utf8proc_INCLUDE_DIR)
  set(Utf8proc_VERSION "")
  foreach(part MAJOR MINOR PATCH)
    file(STRINGS ${Utf8proc_INCLUDE_DIR}/utf8proc.h line REGEX "#define UTF8PROC_VERSION_${part} ")
    string(REGEX REPLACE ".* ([0-9]+).*" "\\1" number "${line}")
    list(APPEND Utf8proc_VERSION ${number})
  endforeach()
  list(JOIN Utf8proc_VERSION "." Utf8proc_VERSION)
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Utf8proc REQUIRED_VARS Utf8proc_LIBRARY Utf8proc_INCLUDE_DIR
                                  VERSION_VAR Utf8proc_VERSION)
if(Utf8proc_FOUND AND NOT TARGET Utf8proc::Utf8proc)
  add_library(Utf8proc::Utf8proc UNKNOWN IMPORTED)
  set_target_properties(Utf8proc::Utf8proc PROPERTIES IMPORTED_LOCATION ${Utf8proc_LIBRARY}
                                                      INTERFACE_INCLUDE_DIRECTORIES ${Utf8proc_INCLUDE_DIR})
endif()
mark_as_advanced(Utf8proc_INCLUDE_DIR Utf8proc_LIBRARY)
