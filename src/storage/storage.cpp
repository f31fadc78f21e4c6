#include <travelchat/storage.hpp>

namespace travelchat {

result<std::vector<Member>> Storage::list_members(const Uuid& conversation_id) {
  const auto found = find_conversation(conversation_id);
  if (!found) return found.error();
  std::vector<Member> members;
  if (*found) members.push_back({Role::client, (*found)->client_id, {}, 0, 0});
  return members;
}

result<std::vector<Sha256Digest>> Storage::list_live_tokens(std::span<const Sha256Digest> digests, TimePoint now) {
  std::vector<Sha256Digest> live;
  for (const Sha256Digest& digest : digests) {
    const auto found = find_token(digest, now);
    if (!found) return found.error();
    if (*found) live.push_back(digest);
  }
  return live;
}

}  // namespace travelchat
