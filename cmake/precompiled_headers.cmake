# Headers of others that most sources include, compiled once for many targets. Only g++: with clang, ccache needs other
# options. What is listed here is from the system, so that no change of our own headers makes it anew; sources still include
# all that they use, which the preset `tsan` holds by compiling without (CMAKE_DISABLE_PRECOMPILE_HEADERS).

set(TRAVELCHAT_COMMON_HEADERS
  <algorithm> <array> <atomic> <charconv> <chrono> <condition_variable> <deque> <functional> <map> <memory> <mutex> <optional>
  <set> <span> <sstream> <stdexcept> <string> <string_view> <thread> <unordered_map> <utility> <variant> <vector>
  <boost/asio/any_completion_handler.hpp> <boost/asio/any_io_executor.hpp> <boost/asio/associated_executor.hpp>
  <boost/asio/async_result.hpp> <boost/asio/bind_executor.hpp> <boost/asio/dispatch.hpp>
  <boost/asio/executor_work_guard.hpp> <boost/asio/io_context.hpp> <boost/asio/post.hpp> <boost/asio/steady_timer.hpp>
  <boost/asio/system_executor.hpp> <boost/asio/thread_pool.hpp> <boost/system/error_code.hpp> <boost/system/result.hpp>)
set(TRAVELCHAT_HTTP_HEADERS ${TRAVELCHAT_COMMON_HEADERS}
  <boost/asio/ip/tcp.hpp> <boost/asio/read.hpp> <boost/asio/ssl.hpp> <boost/asio/write.hpp> <boost/beast/core.hpp>
  <boost/beast/http.hpp> <boost/json.hpp>)
set(TRAVELCHAT_TEST_HEADERS ${TRAVELCHAT_COMMON_HEADERS}
  <boost/asio/use_future.hpp> <catch2/catch.hpp> <future> <iostream>)
set(TRAVELCHAT_NODE_HEADERS ${TRAVELCHAT_COMMON_HEADERS} <napi.h>)

# travelchat_precompile(<target> <headers>) compiles the set above that has this name; travelchat_precompile(<target> FROM
# <other>) takes that of another target: all of that one's definitions must be its own, and its visibility and the position
# of its code be the same.
function(travelchat_precompile target)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    return()
  endif()
  # The first for ccache; the second because the collector would go through all of the headers each time.
  target_compile_options(${target} PRIVATE -fpch-preprocess "SHELL:--param ggc-min-heapsize=1000000")
  if(NOT CMAKE_DISABLE_PRECOMPILE_HEADERS)
    # What g++ 12 wrongly reports inside std::string is shown when that comes from a precompiled header; the preset `tsan`
    # compiles with these.
    target_compile_options(${target} PRIVATE -Wno-array-bounds -Wno-restrict -Wno-stringop-overflow -Wno-stringop-overread)
  endif()
  if(ARGV1 STREQUAL "FROM")
    target_precompile_headers(${target} REUSE_FROM ${ARGV2})
  else()
    target_precompile_headers(${target} PRIVATE ${TRAVELCHAT_${ARGV1}_HEADERS})
  endif()
endfunction()
