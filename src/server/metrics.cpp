// What the server counts, as Prometheus text.
#include "server/chat_server.hpp"

#include <string>
#include <string_view>
#include <utility>

namespace travelchat::server {
namespace {

class MetricsText {
 public:
  void family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    text_ += "# HELP ";
    text_ += name;
    text_ += ' ';
    text_ += help;
    text_ += "\n# TYPE ";
    text_ += name;
    text_ += ' ';
    text_ += type;
    text_ += '\n';
  }

  void value(std::uint64_t number, std::string_view labels = {}) {
    text_ += name_;
    text_ += labels;
    text_ += ' ';
    text_ += std::to_string(number);
    text_ += '\n';
  }

  std::string take() { return std::move(text_); }

 private:
  std::string text_;
  std::string name_;
};

}  // namespace

std::string ChatServer::metrics() const {
  MetricsText text;
  const auto sum = [&](auto count) {
    std::uint64_t total = 0;
    for (std::size_t i = 0; i < loop_count(); ++i) total += count(loop(i)).value();
    return total;
  };
  text.family("travelchat_connections", "gauge", "Open connections by kind.");
  text.value(sum([](const ChatLoop& loop) -> auto& { return loop.counters().connections; }), "{kind=\"http\"}");
  text.value(sum([](const ChatLoop& loop) -> auto& { return loop.chat_counters().chat_sockets; }), "{kind=\"chat\"}");
  text.value(sum([](const ChatLoop& loop) -> auto& { return loop.chat_counters().inbox_sockets; }), "{kind=\"inbox\"}");
  text.family("travelchat_turned_away_connections_total", "counter",
              "Connections that were closed at once, because their address had as many as allowed.");
  text.value(turned_away());
  text.family("travelchat_outbox_bytes", "gauge", "Bytes that wait for the kernel.");
  text.value(sum([](const ChatLoop& loop) -> auto& { return loop.counters().outbox_bytes; }));
  text.family("travelchat_sent_bytes_total", "counter", "Bytes handed to the kernel.");
  text.value(sum([](const ChatLoop& loop) -> auto& { return loop.counters().bytes_sent; }));
  text.family("travelchat_received_bytes_total", "counter", "Bytes taken from the kernel.");
  text.value(sum([](const ChatLoop& loop) -> auto& { return loop.counters().bytes_received; }));
  text.family("travelchat_writes_total", "counter", "Gathered writes.");
  text.value(sum([](const ChatLoop& loop) -> auto& { return loop.counters().writes; }));
  text.family("travelchat_sent_events_total", "counter", "Events put into outboxes.");
  text.value(sum([](const ChatLoop& loop) -> auto& { return loop.chat_counters().events_sent; }));
  text.family("travelchat_received_frames_total", "counter", "Text messages of sockets.");
  text.value(sum([](const ChatLoop& loop) -> auto& { return loop.socket_counters().messages_received; }));
  text.family("travelchat_http_responses_total", "counter", "HTTP answers by status class.");
  for (std::size_t i = 0; i < 5; ++i) {
    text.value(sum([i](const ChatLoop& loop) -> auto& { return loop.counters().answers[i]; }),
               "{class=\"" + std::to_string(i + 1) + "xx\"}");
  }
  text.family("travelchat_socket_closes_total", "counter",
              "Closed sockets by code; \"none\" ended without one, \"other\" with one of a peer's own.");
  for (std::size_t i = 0; i < websocket::counted_close_codes.size(); ++i) {
    const std::uint16_t code = websocket::counted_close_codes[i];
    text.value(sum([i](const ChatLoop& loop) -> auto& { return loop.socket_counters().closes[i]; }),
               "{code=\"" + (code == 0 ? std::string("none") : std::to_string(code)) + "\"}");
  }
  text.value(sum([](const ChatLoop& loop) -> auto& { return loop.socket_counters().other_closes; }),
             "{code=\"other\"}");

  const EngineStats stats = engine_.stats();
  text.family("travelchat_messages_total", "counter", "Messages committed.");
  text.value(stats.messages);
  text.family("travelchat_commits_total", "counter", "Transactions committed.");
  text.value(stats.commits);
  text.family("travelchat_writes_committed_total", "counter", "Commands in them.");
  text.value(stats.writes);
  text.family("travelchat_failed_commits_total", "counter", "Transactions that failed.");
  text.value(stats.failed_commits);
  text.family("travelchat_deliveries_total", "counter", "Events handed to subscribers.");
  text.value(stats.deliveries);
  text.family("travelchat_queued_writes", "gauge", "Writes that wait for the committer.");
  text.value(stats.queued_writes);
  text.family("travelchat_subscribers", "gauge", "Subscriptions.");
  text.value(stats.subscribers);
  text.family("travelchat_rooms", "gauge", "Conversations with a subscriber.");
  text.value(stats.rooms);
  if (const BackplaneState state = engine_.backplane_state(); state != BackplaneState::none) {
    text.family("travelchat_backplane_up", "gauge", "Whether other nodes can be heard.");
    text.value(state == BackplaneState::up ? 1 : 0);
  }
  text.family("travelchat_catch_ups_total", "counter", "Conversations whose listeners were told from the storage.");
  text.value(stats.catch_ups);
  return text.take();
}

}  // namespace travelchat::server
