#include "http/outbox.hpp"

#include "http/event_loop.hpp"

#include <travelchat/error.hpp>

#include <algorithm>
#include <array>

namespace travelchat::http {
namespace {

// The kernel's IOV_MAX is 1,024; beyond some hundred a larger array gains nothing.
constexpr std::size_t max_gathered = 256;
// An outbox keeps room for this many buffers while it is empty.
constexpr std::size_t kept_capacity = 16;

}  // namespace

Outbox::~Outbox() {
  if (listed_) loop_.unlist(*this);
  loop_.counters().outbox_bytes.subtract(pending_bytes_);
}

void Outbox::append(Buffer bytes) {
  if (sealed_ || broken_ || bytes->empty()) return;
  pending_bytes_ += bytes->size();
  loop_.counters().outbox_bytes.add(bytes->size());
  queue_.push_back(std::move(bytes));
  if (!blocked_) schedule();
}

bool Outbox::would_exceed(std::size_t limit, std::size_t size) {
  if (pending_bytes_ + size <= limit || pending_bytes_ == 0) return false;
  if (!blocked_) flush();
  return pending_bytes_ != 0 && pending_bytes_ + size > limit;
}

void Outbox::drop_unsent(std::size_t (*next_boundary)(std::string_view buffer, std::size_t offset) noexcept) {
  // How much of the current buffer has been sent or must be sent.
  std::size_t begun = queue_.empty() ? 0 : offset_ + socket_.begun_bytes();
  std::size_t kept = 0;
  while (begun > 0 && kept < queue_.size()) {
    const std::string& buffer = *queue_[kept];
    if (begun < buffer.size()) {
      const std::size_t boundary = next_boundary(buffer, begun);
      if (boundary < buffer.size()) queue_[kept] = std::make_shared<const std::string>(buffer.substr(0, boundary));
      begun = 0;
    } else {
      begun -= buffer.size();
    }
    ++kept;
  }
  queue_.resize(kept);
  std::size_t pending = 0;
  for (const Buffer& buffer : queue_) pending += buffer->size();
  if (kept == 0) offset_ = 0;
  pending -= offset_;
  loop_.counters().outbox_bytes.subtract(pending_bytes_ - pending);
  pending_bytes_ = pending;
}

void Outbox::notify_when_drained() {
  told_ = false;
  if (!blocked_) schedule();
}

void Outbox::flush() {
  send();
  if (broken_ || (!told_ && queue_.empty())) schedule();
}

void Outbox::send() {
  while (!queue_.empty() && !broken_) {
    std::array<::iovec, max_gathered> gathered;
    const std::size_t count = std::min(queue_.size(), gathered.size());
    for (std::size_t i = 0; i < count; ++i) {
      gathered[i].iov_base = const_cast<char*>(queue_[i]->data());
      gathered[i].iov_len = queue_[i]->size();
    }
    gathered[0].iov_base = const_cast<char*>(queue_[0]->data()) + offset_;
    gathered[0].iov_len -= offset_;
    const auto [bytes, state] = socket_.write(gathered.data(), count);
    Counters& counters = loop_.counters();
    counters.writes.add(1);
    counters.bytes_sent.add(bytes);
    consume(bytes);
    if (state == Socket::State::blocked) {
      wait();
      return;
    }
    if (state != Socket::State::ok) {
      broken_ = true;
      return;
    }
  }
  if (queue_.empty() && queue_.capacity() > kept_capacity) std::vector<Buffer>().swap(queue_);
}

void Outbox::consume(std::size_t bytes) {
  pending_bytes_ -= bytes;
  loop_.counters().outbox_bytes.subtract(bytes);
  std::size_t gone = 0;
  while (gone < queue_.size()) {
    const std::size_t left = queue_[gone]->size() - offset_;
    if (bytes < left) break;
    bytes -= left;
    offset_ = 0;
    ++gone;
  }
  offset_ += bytes;
  queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(gone));
}

void Outbox::wait() {
  if (blocked_) return;
  blocked_ = true;
  socket_.wait_writable([this, owner = owner_.outbox_lifetime()](const error_code& ec) {
    blocked_ = false;
    if (ec) broken_ = true;
    flush_and_tell();
  });
}

void Outbox::schedule() {
  if (!listed_) loop_.list(*this);
}

void Outbox::flush_and_tell() {
  if (!blocked_ && !broken_) send();
  if (broken_) {
    const auto owner = owner_.outbox_lifetime();
    owner_.outbox_broken();
  } else if (!told_ && queue_.empty()) {
    told_ = true;
    const auto owner = owner_.outbox_lifetime();
    owner_.outbox_drained();
  }
}

}  // namespace travelchat::http
