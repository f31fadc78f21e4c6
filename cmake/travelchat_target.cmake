# What every target of this project shares: the language level, the warnings, the sanitizers.

set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

find_program(TRAVELCHAT_CCACHE ccache)
if(TRAVELCHAT_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # Without the folder's name in its keys, so that a fresh clone finds what another one compiled. With the cache of inodes,
  # else each header is read once for every source.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env "CCACHE_BASEDIR=${PROJECT_SOURCE_DIR}" CCACHE_NOHASHDIR=1
                                  CCACHE_INODECACHE=1 "${TRAVELCHAT_CCACHE}")
endif()

if(TRAVELCHAT_SANITIZE)
  add_compile_options(-fsanitize=${TRAVELCHAT_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${TRAVELCHAT_SANITIZE})
  if(TRAVELCHAT_SANITIZE MATCHES thread)
    # Asio's fences, which ThreadSanitizer cannot follow; its queues synchronize by mutexes too, which it does.
    add_compile_options(-Wno-tsan)
  endif()
endif()

function(travelchat_compile_options target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF POSITION_INDEPENDENT_CODE ON)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual
                                           -Wcast-align -Wnull-dereference -Wformat=2)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # gcc 12 reports these inside Asio's coroutine and variant code where nothing is wrong.
    # The collector would go through all of the headers several times.
    target_compile_options(${target} PRIVATE -Wno-maybe-uninitialized -Wno-null-dereference
                                             "SHELL:--param ggc-min-heapsize=1000000")
  endif()
  if(TRAVELCHAT_WARNINGS_AS_ERRORS)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
endfunction()

# travelchat_compile_together(<target> [APART <source> ...]): under TRAVELCHAT_COMPILE_TOGETHER eight sources are compiled as
# one, since what they share of Asio and of Catch2 takes most of the time. Apart are those whose anonymous namespace holds a
# name that another source's also holds. The preset `dev` compiles each alone, so each includes what it uses.
function(travelchat_compile_together target)
  cmake_parse_arguments(ARG "" "" "APART" ${ARGN})
  if(TRAVELCHAT_COMPILE_TOGETHER)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 8)
    if(ARG_APART)
      set_source_files_properties(${ARG_APART} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
    endif()
    # Its anonymous namespaces are in files that the one source includes, as a header's would be.
    target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage>)
  endif()
endfunction()

# travelchat_library(<component> SOURCES ... [PUBLIC_LIBS ...] [PRIVATE_LIBS ...]) makes travelchat::<component>.
function(travelchat_library component)
  cmake_parse_arguments(ARG "" "" "SOURCES;PUBLIC_LIBS;PRIVATE_LIBS" ${ARGN})
  set(target travelchat_${component})
  add_library(${target} ${ARG_SOURCES})
  add_library(travelchat::${component} ALIAS ${target})
  travelchat_compile_options(${target})
  # Before 1.0 a minor version may change the interface, and a program of the one does not run with the other. Nothing is
  # exported by hand, so an object is the same for an archive and a shared library (DEFINE_SYMBOL).
  set(soversion ${PROJECT_VERSION_MAJOR})
  if(PROJECT_VERSION_MAJOR EQUAL 0)
    string(APPEND soversion .${PROJECT_VERSION_MINOR})
  endif()
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${component} VERSION ${PROJECT_VERSION} SOVERSION ${soversion}
                                             DEFINE_SYMBOL "")
  target_include_directories(${target} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                                              $<BUILD_INTERFACE:${TRAVELCHAT_GENERATED_INCLUDE}>
                                              $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>
                                       PRIVATE ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(${target} PUBLIC ${ARG_PUBLIC_LIBS} PRIVATE ${ARG_PRIVATE_LIBS})
  if(CMAKE_INTERPROCEDURAL_OPTIMIZATION AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # An installed archive must also serve a linker without this compiler's plugin.
    target_compile_options(${target} PRIVATE -ffat-lto-objects)
  endif()
  set_property(GLOBAL APPEND PROPERTY TRAVELCHAT_COMPONENTS ${component})
endfunction()
