#include "external_connection.hpp"

#include "records.hpp"

#include <utility>

namespace travelchat::python {

void PythonConnection::accept(std::string_view subprotocol) noexcept {
  std::unique_lock lock(mutex_);
  accepted_ = std::string(subprotocol);
  wake_if_awaited(std::move(lock));
}

void PythonConnection::send(TextBatch batch) noexcept {
  std::unique_lock lock(mutex_);
  batches_.push_back(std::move(batch));
  wake_if_awaited(std::move(lock));
}

void PythonConnection::close(std::uint16_t code, std::string_view reason) noexcept {
  std::unique_lock lock(mutex_);
  closed_ = {code, std::string(reason)};
  if (code == describe(errc::too_slow).close_code) {
    // Drops what waits, and wakes Python, which may be waiting for the slow peer to take an earlier batch.
    batches_.clear();
    is_awaited_ = true;
  }
  wake_if_awaited(std::move(lock));
}

void PythonConnection::wake_if_awaited(std::unique_lock<std::mutex> lock) noexcept {
  if (!std::exchange(is_awaited_, false)) return;
  lock.unlock();
  if (const auto queue = queue_.lock()) queue->put({token_, FeedReady{}});
}

py::object PythonConnection::take() {
  std::optional<std::string> accepted;
  std::deque<TextBatch> batches;
  std::optional<std::pair<std::uint16_t, std::string>> closed;
  {
    const std::lock_guard lock(mutex_);
    is_awaited_ = !accepted_ && batches_.empty() && !closed_;
    if (is_awaited_) return py::none();
    accepted = std::exchange(accepted_, std::nullopt);
    batches = std::exchange(batches_, {});
    closed = std::exchange(closed_, std::nullopt);
  }
  py::list texts;
  for (const TextBatch& batch : batches) {
    for (const std::string_view text : batch.texts) {
      auto made = py::reinterpret_steal<py::object>(
          PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace"));
      if (!made) throw py::error_already_set();
      texts.append(made);
    }
  }
  return py::make_tuple(accepted ? py::object(to_python(*accepted)) : py::none(), std::move(texts), batches.size(),
                        closed ? py::object(py::make_tuple(closed->first, to_python(closed->second))) : py::none());
}

}  // namespace travelchat::python
