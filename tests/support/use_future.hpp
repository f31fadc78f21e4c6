// What boost::asio::use_future does for the engine's operations, compiled in a third of the time: most unit tests are
// little else. That Asio's own tokens work is tested in tests/engine/temporaries.cpp.
#pragma once

#include <travelchat/error.hpp>

#include <boost/asio/async_result.hpp>

#include <chrono>
#include <future>
#include <memory>
#include <stdexcept>
#include <utility>

namespace travelchat::test {

struct UseFuture {};
inline constexpr UseFuture use_future;

template <class T>
struct PromiseHandler {
  std::shared_ptr<std::promise<result<T>>> promise;

  void operator()(result<T> answer) const { promise->set_value(std::move(answer)); }
};

// Throws when there is no answer within 20 seconds.
template <class T>
T get(std::future<T> future) {
  if (future.wait_for(std::chrono::seconds{20}) != std::future_status::ready) throw std::runtime_error("no answer");
  return future.get();
}

}  // namespace travelchat::test

template <class T>
class boost::asio::async_result<travelchat::test::UseFuture, void(travelchat::result<T>)> {
 public:
  template <class Initiation, class... Args>
  static std::future<travelchat::result<T>> initiate(Initiation&& initiation, travelchat::test::UseFuture,
                                                     Args&&... args) {
    const auto promise = std::make_shared<std::promise<travelchat::result<T>>>();
    std::future<travelchat::result<T>> future = promise->get_future();
    std::forward<Initiation>(initiation)(travelchat::test::PromiseHandler<T>{promise}, std::forward<Args>(args)...);
    return future;
  }
};
