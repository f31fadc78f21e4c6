#include "server/inbox_socket.hpp"

#include "server/await.hpp"
#include "websocket/external_web_socket.hpp"
#include "websocket/tcp_web_socket.hpp"

#include "wire/socket_text.hpp"

#include <travelchat/wire.hpp>

#include <algorithm>
#include <variant>

namespace travelchat::server {
namespace {

constexpr std::size_t max_waiting_batches = 1'000;

SocketOwner owner_of(const std::string& org_id, const std::string& advisor_id) {
  return {Uuid{}, Role::advisor, org_id, advisor_id};
}

template <class Visit>
void for_each_row(const EventBatch& batch, Visit visit) {
  for (const Event& event : batch.events()) {
    if (const auto* updated = std::get_if<ConversationUpdated>(&event)) visit(updated->summary);
  }
}

}  // namespace

template <class BaseSocket>
InboxSocket<BaseSocket>::InboxSocket(ChatLoop& loop, websocket::Upgrade& upgrade, Advisor advisor,
                                     InboxOptions listening)
    : BaseSocket(loop, upgrade),
      org_id_(std::move(advisor.org_id)),
      advisor_id_(std::move(advisor.id)),
      listening_(std::move(listening)) {
  this->expire_at(advisor.expires_at);
  if (!advisor.session_id.empty()) {
    this->set_claim(std::make_unique<const SocketClaim>(SocketClaim{std::move(advisor.session_id), std::nullopt}));
  }
}

template <class BaseSocket>
SocketOwner InboxSocket<BaseSocket>::owner() const {
  return owner_of(org_id_, advisor_id_);
}

template <class BaseSocket>
void InboxSocket<BaseSocket>::opened() {
  loop().sockets().add(owner(), *this);
  counted_ = true;
  loop().chat_counters().inbox_sockets.add(1);
  loop().server().engine().async_subscribe_inbox(
      org_id_, self(), std::exchange(listening_, {}),
      boost::asio::bind_executor(loop().executor(), [self = self()](result<Subscription> subscription) {
        if (!subscription) {
          self->close_with(describe(subscription.error()));
        } else if (self->is_open()) {
          self->subscription_ = std::move(*subscription);
        }
      }));
}

template <class BaseSocket>
void InboxSocket<BaseSocket>::closed() noexcept {
  subscription_.reset();
  waiting_.clear();
  if (!counted_) return;
  counted_ = false;
  loop().chat_counters().inbox_sockets.subtract(1);
  loop().sockets().remove(owner(), *this);
}

// An inbox takes no messages from its peer.
template <class BaseSocket>
void InboxSocket<BaseSocket>::received(std::string_view) {
  this->refuse(make_error_code(errc::invalid_argument));
}

template <class BaseSocket>
void InboxSocket<BaseSocket>::deliver(const std::shared_ptr<const EventBatch>& batch) noexcept {
  if (!is_open()) return;
  if (waiting_.size() >= max_waiting_batches) {
    this->close_with(describe(errc::too_slow));
    return;
  }
  waiting_.push_back(batch);
  if (!asking_) send_waiting();
}

template <class BaseSocket>
void InboxSocket<BaseSocket>::send_waiting() {
  while (is_open() && !waiting_.empty()) {
    const auto batch = waiting_.front();
    http::Buffer bytes = loop().find_inbox_bytes(*batch);
    if (!bytes) {
      std::vector<std::string> unknown;
      for_each_row(*batch, [&](const ConversationSummary& row) {
        const std::string& client_id = row.conversation.client_id;
        if (!loop().client_cards().find(org_id_, client_id) && std::ranges::find(unknown, client_id) == unknown.end()) {
          unknown.push_back(client_id);
        }
      });
      if (!unknown.empty()) {
        asking_ = true;
        [](std::shared_ptr<InboxSocket> socket, std::vector<std::string> ids) -> DetachedTask {
          ChatLoop& loop = socket->loop();
          const auto cards = co_await ask_host<std::vector<ClientCard>>(
              loop, "find_clients",
              [&](Host& host, auto reply) { host.find_clients(socket->org_id_, ids, std::move(reply)); });
          for (const std::string& id : ids) {
            std::optional<ClientCard> card;
            if (cards) {
              const auto it = std::ranges::find(*cards, id, &ClientCard::id);
              if (it != cards->end()) card = *it;
            }
            loop.client_cards().remember(socket->org_id_, id, std::move(card), std::chrono::seconds{cards ? 30 : 1});
          }
          socket->asking_ = false;
          socket->send_waiting();
        }(self(), std::move(unknown));
        return;
      }
      std::string frames;
      std::string json;
      for_each_row(*batch, [&](const ConversationSummary& row) {
        const auto card = loop().client_cards().find(org_id_, row.conversation.client_id);
        json.clear();
        wire::append_conversation_update(row, card ? *card : nullptr, json);
        wire::append_text_frame(json, frames);
      });
      bytes = std::make_shared<const std::string>(std::move(frames));
      loop().remember_inbox_bytes(batch, bytes);
    }
    waiting_.pop_front();
    loop().chat_counters().events_sent.add(batch->events().size());
    send(std::move(bytes));
  }
}

template class InboxSocket<websocket::TcpWebSocket>;
template class InboxSocket<websocket::ExternalWebSocket>;

}  // namespace travelchat::server
