// Holds an application to the Boost.Asio that the library was built with: its version and its configuration.
//
// Contexts, executors and handlers are passed between the two, so their types must be the same. Asio's macros change
// the types and functions behind its names (with BOOST_ASIO_NO_DEPRECATED on one side only, handlers are allocated
// wrongly), and the linker takes one definition for all. So whatever includes this refers to a name in which the
// configuration is spelled out; where the library has another one, the program does not link: "undefined reference to
// `travelchat::detail::asio_102600_no_deprecated::of_travelchat'". docs/library.md says what to do then.
//
// Whether Asio is header-only is part of it (BOOST_ASIO_SEPARATE_COMPILATION): the two kinds of its functions keep
// their static data in different places, so that errors which are equal would not compare so.
#pragma once

#include <boost/asio/detail/config.hpp>
#include <boost/asio/version.hpp>

// Each is empty for Asio's default on Linux.
#if defined(BOOST_ASIO_HEADER_ONLY)
#define TRAVELCHAT_ASIO_FORM
#else
#define TRAVELCHAT_ASIO_FORM _compiled_apart
#endif
#if defined(BOOST_ASIO_NO_DEPRECATED)
#define TRAVELCHAT_ASIO_DEPRECATED _no_deprecated
#else
#define TRAVELCHAT_ASIO_DEPRECATED
#endif
#if defined(BOOST_ASIO_USE_TS_EXECUTOR_AS_DEFAULT)
#define TRAVELCHAT_ASIO_EXECUTOR _ts_executor
#elif defined(BOOST_ASIO_NO_TS_EXECUTORS)
#define TRAVELCHAT_ASIO_EXECUTOR _no_ts_executors
#else
#define TRAVELCHAT_ASIO_EXECUTOR
#endif
#if defined(BOOST_ASIO_HAS_THREADS)
#define TRAVELCHAT_ASIO_THREADS
#else
#define TRAVELCHAT_ASIO_THREADS _no_threads
#endif
#if defined(BOOST_ASIO_HAS_IO_URING_AS_DEFAULT)
#define TRAVELCHAT_ASIO_REACTOR _io_uring
#elif defined(BOOST_ASIO_HAS_IO_URING)
#define TRAVELCHAT_ASIO_REACTOR _io_uring_for_files
#elif !defined(BOOST_ASIO_HAS_EPOLL)
#define TRAVELCHAT_ASIO_REACTOR _no_epoll
#elif !defined(BOOST_ASIO_HAS_EVENTFD) || !defined(BOOST_ASIO_HAS_TIMERFD)
#define TRAVELCHAT_ASIO_REACTOR _epoll_alone
#else
#define TRAVELCHAT_ASIO_REACTOR
#endif
#if defined(BOOST_ASIO_ENABLE_HANDLER_TRACKING) || defined(BOOST_ASIO_CUSTOM_HANDLER_TRACKING)
#define TRAVELCHAT_ASIO_TRACKING _tracking
#else
#define TRAVELCHAT_ASIO_TRACKING
#endif
#if defined(BOOST_ASIO_DISABLE_SMALL_BLOCK_RECYCLING)
#define TRAVELCHAT_ASIO_RECYCLING _no_recycling
#elif defined(BOOST_ASIO_RECYCLING_ALLOCATOR_CACHE_SIZE) && BOOST_ASIO_RECYCLING_ALLOCATOR_CACHE_SIZE != 2
#define TRAVELCHAT_ASIO_RECYCLING _own_recycling
#else
#define TRAVELCHAT_ASIO_RECYCLING
#endif

#define TRAVELCHAT_ASIO_JOIN_(version, a, b, c, d, e, f, g) asio_##version##a##b##c##d##e##f##g
#define TRAVELCHAT_ASIO_JOIN(version, a, b, c, d, e, f, g) TRAVELCHAT_ASIO_JOIN_(version, a, b, c, d, e, f, g)

namespace travelchat::detail {

struct TRAVELCHAT_ASIO_JOIN(BOOST_ASIO_VERSION, TRAVELCHAT_ASIO_FORM, TRAVELCHAT_ASIO_DEPRECATED,
                            TRAVELCHAT_ASIO_EXECUTOR, TRAVELCHAT_ASIO_THREADS, TRAVELCHAT_ASIO_REACTOR,
                            TRAVELCHAT_ASIO_TRACKING, TRAVELCHAT_ASIO_RECYCLING) {
  static const char of_travelchat;
};
using AsioConfiguration = TRAVELCHAT_ASIO_JOIN(BOOST_ASIO_VERSION, TRAVELCHAT_ASIO_FORM, TRAVELCHAT_ASIO_DEPRECATED,
                                               TRAVELCHAT_ASIO_EXECUTOR, TRAVELCHAT_ASIO_THREADS,
                                               TRAVELCHAT_ASIO_REACTOR, TRAVELCHAT_ASIO_TRACKING,
                                               TRAVELCHAT_ASIO_RECYCLING);

// In every object file that includes this, also where nothing else of it is used.
[[gnu::used]] static const char* const asio_configuration = &AsioConfiguration::of_travelchat;

}  // namespace travelchat::detail

#undef TRAVELCHAT_ASIO_FORM
#undef TRAVELCHAT_ASIO_DEPRECATED
#undef TRAVELCHAT_ASIO_EXECUTOR
#undef TRAVELCHAT_ASIO_THREADS
#undef TRAVELCHAT_ASIO_REACTOR
#undef TRAVELCHAT_ASIO_TRACKING
#undef TRAVELCHAT_ASIO_RECYCLING
#undef TRAVELCHAT_ASIO_JOIN_
#undef TRAVELCHAT_ASIO_JOIN
