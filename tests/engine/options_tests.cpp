// An engine refuses options that mean nothing, and says which.
#include "engine_fixture.hpp"

#include <functional>

using namespace std::chrono_literals;

namespace travelchat::test {
namespace {

struct Case {
  const char* sentence;
  std::function<void(EngineOptions&)> set;
};

std::string refusal_of(EngineOptions options) {
  try {
    const ChatEngine engine(make_memory_storage(), options);
    return "none";
  } catch (const OptionError& refused) {
    CHECK(error_code(refused.code()) == errc::invalid_argument);
    CHECK(std::string(refused.what()).starts_with(refused.option() + ' '));
    return refused.what();
  }
}

}  // namespace

TEST_CASE("an option that is not valid is refused by its name") {
  const std::vector<Case> cases = {
      {"shards must be at most 1024", [](EngineOptions& o) { o.shards = 1'025; }},
      {"readers must be at most 1024", [](EngineOptions& o) { o.readers = std::size_t(-1); }},
      {"max_queued_writes must be at least 1", [](EngineOptions& o) { o.max_queued_writes = 0; }},
      {"max_queued_reads must be at least 1", [](EngineOptions& o) { o.max_queued_reads = 0; }},
      {"typing_timeout must be longer than 0", [](EngineOptions& o) { o.typing_timeout = 0ms; }},
      {"typing_timeout must be longer than 0", [](EngineOptions& o) { o.typing_timeout = -1ms; }},
      {"typing_timeout must be at most 100 years",
       [](EngineOptions& o) { o.typing_timeout = std::chrono::milliseconds::max(); }},
      {"token_lifetime must not be negative", [](EngineOptions& o) { o.token_lifetime = -1ms; }},
      {"token_lifetime must be at most 100 years",
       [](EngineOptions& o) { o.token_lifetime = std::chrono::milliseconds::max(); }},
      {"max_live_tokens must be at least 1", [](EngineOptions& o) { o.max_live_tokens = 0; }},
      {"token_cache_lifetime must not be negative", [](EngineOptions& o) { o.token_cache_lifetime = -1ms; }},
      {"sweep_interval must not be negative", [](EngineOptions& o) { o.sweep_interval = -1s; }},
      {"sweep_interval must not be negative", [](EngineOptions& o) { o.sweep_interval = std::chrono::seconds::min(); }},
      {"sweep_interval must be at most 100 years",
       [](EngineOptions& o) { o.sweep_interval = std::chrono::seconds::max(); }},
      {"poll_interval must be longer than 0", [](EngineOptions& o) { o.poll_interval = 0ms; }},
      {"poll_interval_down must be longer than 0", [](EngineOptions& o) { o.poll_interval_down = -5ms; }},
  };
  for (const Case& each : cases) {
    EngineOptions options;
    each.set(options);
    CHECK(refusal_of(options) == each.sentence);
  }
}

TEST_CASE("what an option says of 0 holds") {
  EngineOptions options;
  options.shards = 0;
  options.readers = 0;
  options.max_batch = 0;
  options.max_replay = 0;
  options.max_replay_backlog = 0;
  options.token_lifetime = 0ms;
  options.token_cache_entries = 0;
  options.token_cache_lifetime = 0ms;
  options.sweep_interval = 0s;
  Running f(options);
  CHECK(f.send(client, draft(f.open(), "Hello")).has_value());
}

TEST_CASE("an engine without a storage is refused") {
  CHECK_THROWS_AS(ChatEngine(nullptr), OptionError);
}

}  // namespace travelchat::test
