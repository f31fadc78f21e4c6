// The host's own HTTP routes beside the chat's: signing in and out, the advisor's clients and trips, the shared trip.
#pragma once

#include "demo_data.hpp"
#include "fair_pool.hpp"
#include "live_directory.hpp"
#include "log.hpp"
#include "login_throttle.hpp"
#include "push_subscriptions.hpp"
#include "sessions.hpp"
#include "static_files.hpp"
#include "travel_lab_host.hpp"
#include "web_push_sender.hpp"
#include "worker_pool.hpp"

#include <travelchat/beast_server.hpp>

#include <vector>

namespace travel_lab {

// What the routes work with. Owner: main, which keeps all of it until the server has stopped.
struct Site {
  LiveDirectory& directory;
  Sessions& sessions;
  const TravelLabHost& host;
  LoginThrottle& throttle;
  FairPool& passwords;                        // verifies, and writes the session of whoever signs in
  WorkerPool& row_writes;                     // of sessions that end, and of push subscriptions
  PushSubscriptions* push_subscriptions;      // null: no push, and none of its routes
  const WebPushSender* push;                  // null when that is
  const StaticFiles* web;                     // null: a built-in page at "/"
  const std::vector<DemoLogin>* demo_logins;  // null: no GET /api/demo
  Log& log;
};

// Before the server starts.
void add_routes(travelchat::BeastServer& server, const Site& site);

}  // namespace travel_lab
