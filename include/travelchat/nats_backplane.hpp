// A backplane on a NATS server or cluster: one subject for each topic, `<subject_prefix>.<uuid>`.
//
// One connection for each backplane. No server needs to be there at start: it is looked for until it comes, and looked
// for again whenever it is lost. Messages are never stored, here or at the server.
#pragma once

#include <travelchat/backplane.hpp>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace travelchat {

struct NatsBackplaneOptions {
  // At least one, as nats://host:4222 or nats://user:password@host:4222. They belong to one cluster: one is chosen at
  // random, and the next when it is lost. Further servers that these announce are used, too. User and password are not
  // percent-decoded, so they may contain neither ':' nor '@'. There is no TLS: the library in Debian 12 (nats.c before
  // pull request 913) uses one TLS session from two threads at once. For TLS, and for other kinds of credentials, run a
  // nats-server beside the node as a leaf node of the cluster.
  std::vector<std::string> servers{};
  // Deployments that share a NATS need different ones. Subject tokens, such as "travelchat" or "chat.production".
  std::string subject_prefix = "travelchat";
  // A token instead of user and password; empty: none.
  std::string token{};
  // A secret of the deployment, at least 32 bytes, the same on every node: messages are signed with it (HMAC-SHA-256),
  // and others are dropped. Empty: nothing is signed, so nobody but the nodes may have the right to publish below
  // `subject_prefix`.
  std::string key{};
  // Told when the link comes, goes or is refused. One call at a time, on a thread of the backplane's; no line holds a
  // password or a token.
  std::function<void(std::string_view line)> log{};
};

// Throws std::system_error with std::errc::invalid_argument for options that no server could be reached with. A server
// that is away, or refuses the password, is no error here; the log tells of it.
std::unique_ptr<Backplane> make_nats_backplane(NatsBackplaneOptions options);

}  // namespace travelchat
