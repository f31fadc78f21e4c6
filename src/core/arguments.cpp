#include <travelchat/arguments.hpp>
#include <travelchat/validate.hpp>

#include <cstddef>
#include <utility>

namespace travelchat {
namespace {

constexpr std::size_t max_attachment_bytes = 2'048;  // of each of the three strings
constexpr std::size_t max_page_size = 200;

Problem problem(std::string_view name, std::string text) {
  return OptionError(std::string(name), std::move(text));
}

Problem find_problem_of_optional_id(std::string_view name, const std::optional<std::string>& id) {
  return id ? find_problem_of_host_id(name, *id) : Problem();
}

Problem find_problem_of_attachment_text(std::string_view name, const std::optional<std::string>& text) {
  if (!text) return {};
  const std::string must =
      "must be 1 to " + std::to_string(max_attachment_bytes) + " bytes of UTF-8 without a NUL, and ";
  if (text->empty()) return problem(name, must + "is empty");
  if (text->size() > max_attachment_bytes) return problem(name, must + "has " + std::to_string(text->size()));
  if (text->find('\0') != std::string::npos) return problem(name, must + "holds one");
  if (!is_valid_utf8(*text)) return problem(name, must + "is not UTF-8");
  return {};
}

// The first of them that there is.
template <class... Found>
Problem first_of(Found... found) {
  Problem first;
  static_cast<void>(((first = found(), first.has_value()) || ...));
  return first;
}

}  // namespace

Problem find_problem_of_host_id(std::string_view name, std::string_view id) {
  if (is_host_id(id)) return {};
  const std::string must = "must be 1 to 128 printable ASCII characters without spaces, and ";
  if (id.empty()) return problem(name, must + "is empty");
  if (id.size() > 128) return problem(name, must + "has " + std::to_string(id.size()));
  if (id.find(' ') != id.npos) return problem(name, must + "holds a space");
  return problem(name, must + "holds another character");
}

Problem find_problem(const Participant& who) {
  return first_of([&] { return find_problem_of_host_id("org_id", who.org_id); },
                  [&] { return find_problem_of_host_id("id", who.id); });
}

Problem find_problem(const Draft& draft) {
  const auto find_problem_of_url = [&]() -> Problem {
    if (!draft.attachment_url || is_web_address(*draft.attachment_url)) return {};
    return problem("attachment_url",
                   "must be an http or https URL without a user name, or a path of the server that begins with one /");
  };
  return first_of([&] { return find_problem_of_attachment_text("attachment_url", draft.attachment_url); },
                  find_problem_of_url,
                  [&] { return find_problem_of_attachment_text("attachment_type", draft.attachment_type); },
                  [&] { return find_problem_of_attachment_text("attachment_name", draft.attachment_name); });
}

Problem find_problem(const MessageQuery& query) {
  if (query.limit < 1 || query.limit > max_page_size) {
    return problem("limit",
                   "must be 1 to " + std::to_string(max_page_size) + ", and is " + std::to_string(query.limit));
  }
  if (query.before_seq == 0) return problem("before_seq", "must be at least 1: the first message's seq");
  if (query.before_seq && query.since_rev) return problem("before_seq and since_rev", "exclude each other");
  return {};
}

Problem find_problem(const ConversationQuery& query) {
  if (auto found = find_problem_of_host_id("org_id", query.org_id)) return found;
  if (query.text && !is_valid_utf8(*query.text)) return problem("text", "must be UTF-8");
  return {};
}

Problem find_problem(const TokenGrant& grant) {
  if (grant.share_token && grant.share_token->empty()) {
    return problem("share_token", "must not be empty: without one, leave it out");
  }
  return first_of([&] { return find_problem_of_host_id("org_id", grant.org_id); },
                  [&] { return find_problem_of_host_id("client_id", grant.client_id); },
                  [&] { return find_problem_of_host_id("trip_id", grant.trip_id); });
}

Problem find_problem(const TokenFilter& filter) {
  // Without either, the filter would match every token of the organization, most likely by mistake.
  if (!filter.client_id && !filter.trip_id) return problem("client_id or trip_id", "must be given, or both");
  return first_of([&] { return find_problem_of_host_id("org_id", filter.org_id); },
                  [&] { return find_problem_of_optional_id("client_id", filter.client_id); },
                  [&] { return find_problem_of_optional_id("trip_id", filter.trip_id); });
}

}  // namespace travelchat
