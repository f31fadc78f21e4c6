// Whether the event loops of a server may still be posted to. Shared with what may outlive the server and its threads:
// a host's late reply, or the owner of an external connection.
//
// Any thread.
#pragma once

#include <mutex>

namespace travelchat::http {

class RunState {
 public:
  // Calls `post` while they run, and keeps them running until it returns. Whether it was called.
  template <class Post>
  bool if_running(Post post) {
    const std::scoped_lock lock(mutex_);
    if (is_running_) post();
    return is_running_;
  }
  void begin() { set(true); }
  void end() { set(false); }

 private:
  void set(bool is_running) {
    const std::scoped_lock lock(mutex_);
    is_running_ = is_running;
  }

  std::mutex mutex_;
  bool is_running_ = false;
};

}  // namespace travelchat::http
