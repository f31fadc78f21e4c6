#include "backplanes.hpp"

#include "nats_servers.hpp"

#include <travelchat/local_backplane.hpp>

namespace travelchat::backplane_test {

namespace {

class NatsNetwork final : public Network {
 public:
  std::unique_ptr<Backplane> make() override { return make_nats_backplane(servers_.options()); }

 private:
  NatsServers servers_;
};

class LocalNetwork final : public Network {
 public:
  std::unique_ptr<Backplane> make() override { return make_local_backplane(bus_); }

 private:
  std::shared_ptr<LocalBus> bus_ = make_local_bus();
};

template <class T>
std::unique_ptr<Network> make() {
  return std::make_unique<T>();
}

}  // namespace

std::vector<const Kind*> backplanes() {
  static const std::vector<Kind> all = {
      {"local", make<LocalNetwork>},
      {"nats", make<NatsNetwork>},
  };
  std::vector<const Kind*> list;
  for (const Kind& kind : all) list.push_back(&kind);
  return list;
}

}  // namespace travelchat::backplane_test
