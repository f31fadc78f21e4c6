#include <travelchat/wire.hpp>

#include "wire/socket_text.hpp"

#include <travelchat/describe.hpp>

#include <boost/json/basic_parser_impl.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>
#include <vector>

namespace travelchat::wire {
namespace {

namespace json = boost::json;

constexpr std::size_t max_depth = 16;

enum class Kind { null, boolean, string, other };

// A member of the outermost object.
struct Member {
  std::string name;
  Kind kind = Kind::other;
  bool boolean = false;
  std::string text;
};

// Keeps the members of the outermost object and checks the rest. Boost.JSON's own parser would build a document of all
// of it, and silently keep the last of two equal keys.
class MemberHandler {
 public:
  static constexpr std::size_t max_object_size = std::numeric_limits<std::size_t>::max();
  static constexpr std::size_t max_array_size = max_object_size;
  static constexpr std::size_t max_key_size = max_object_size;
  static constexpr std::size_t max_string_size = max_object_size;

  bool is_object() const noexcept { return is_object_; }
  std::vector<Member>& members() noexcept { return members_; }

  bool on_document_begin(error_code&) { return true; }
  bool on_document_end(error_code&) { return true; }

  bool on_object_begin(error_code&) {
    if (depth_ == 0) is_object_ = true;
    enter();
    open_objects_.emplace_back();
    return true;
  }

  bool on_object_end(std::size_t, error_code& ec) {
    --depth_;
    auto& keys = open_objects_.back();
    std::sort(keys.begin(), keys.end());
    const bool unique = std::adjacent_find(keys.begin(), keys.end()) == keys.end();
    open_objects_.pop_back();
    if (!unique) ec = errc::malformed_json;
    return unique;
  }

  bool on_array_begin(error_code&) {
    enter();
    return true;
  }

  bool on_array_end(std::size_t, error_code&) {
    --depth_;
    return true;
  }

  bool on_key_part(json::string_view part, std::size_t, error_code&) {
    text_.append(part.data(), part.size());
    return true;
  }

  bool on_key(json::string_view part, std::size_t, error_code&) {
    text_.append(part.data(), part.size());
    if (at_member()) members_.push_back({.name = text_, .kind = Kind::other, .boolean = false, .text = {}});
    open_objects_.back().push_back(std::exchange(text_, {}));
    return true;
  }

  bool on_string_part(json::string_view part, std::size_t, error_code&) {
    text_.append(part.data(), part.size());
    return true;
  }

  bool on_string(json::string_view part, std::size_t, error_code&) {
    text_.append(part.data(), part.size());
    if (at_member()) {
      members_.back().kind = Kind::string;
      members_.back().text = std::exchange(text_, {});
    }
    text_.clear();
    return true;
  }

  bool on_bool(bool value, error_code&) {
    if (at_member()) {
      members_.back().kind = Kind::boolean;
      members_.back().boolean = value;
    }
    return true;
  }

  bool on_null(error_code&) {
    if (at_member()) members_.back().kind = Kind::null;
    return true;
  }

  bool on_number_part(json::string_view, error_code&) { return true; }
  bool on_int64(std::int64_t, json::string_view, error_code&) { return true; }
  bool on_uint64(std::uint64_t, json::string_view, error_code&) { return true; }

  bool on_double(double value, json::string_view, error_code& ec) {
    if (std::isfinite(value)) return true;
    ec = errc::malformed_json;
    return false;
  }

  bool on_comment_part(json::string_view, error_code&) { return true; }
  bool on_comment(json::string_view, error_code&) { return true; }

 private:
  // Whether a key or value at hand belongs to the outermost object.
  bool at_member() const noexcept { return is_object_ && depth_ == 1; }

  // Objects and arrays count alike; the parser bounds the depth.
  void enter() noexcept { ++depth_; }

  bool is_object_ = false;
  std::size_t depth_ = 0;
  std::string text_;                                    // of the key or string under way
  std::vector<std::vector<std::string>> open_objects_;  // the keys of each, so far
  std::vector<Member> members_;
};

struct Document {
  bool is_object = false;
  std::vector<Member> members;
};

result<Document> parse_document(std::string_view text) {
  json::parse_options options;
  options.max_depth = max_depth;
  json::basic_parser<MemberHandler> parser(options);
  error_code ec;
  const std::size_t used = parser.write_some(false, text.data(), text.size(), ec);
  if (ec || used != text.size()) return errc::malformed_json;
  return Document{parser.handler().is_object(), std::move(parser.handler().members())};
}

const Member* find(const std::vector<Member>& members, std::string_view name) noexcept {
  for (const Member& member : members) {
    if (member.name == name) return &member;
  }
  return nullptr;
}

}  // namespace

result<ClientFrame> parse_client_frame(std::string_view text) {
  const auto document = parse_document(text);
  if (!document) return document.error();
  const Member* type = find(document->members, "type");
  if (type == nullptr || type->kind != Kind::string) return errc::invalid_argument;
  if (type->text == "typing") {
    const Member* is_typing = find(document->members, "isTyping");
    if (is_typing == nullptr || is_typing->kind != Kind::boolean) return errc::invalid_argument;
    return TypingFrame{is_typing->boolean};
  }
  if (type->text == "seen") return SeenFrame{};
  return errc::invalid_argument;
}

struct Body::Impl {
  std::vector<Member> members;
};

Body::Body(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Body::Body(Body&&) noexcept = default;
Body& Body::operator=(Body&&) noexcept = default;
Body::~Body() = default;

result<Body> Body::parse(std::string_view text) {
  auto impl = std::make_unique<Impl>();
  if (!text.empty()) {
    auto document = parse_document(text);
    if (!document) return document.error();
    if (!document->is_object) return errc::malformed_json;
    impl->members = std::move(document->members);
  }
  return Body(std::move(impl));
}

result<std::string_view> Body::string(std::string_view name) const {
  const Member* member = find(impl_->members, name);
  if (member == nullptr) return errc::missing_field;
  if (member->kind != Kind::string) return errc::invalid_argument;
  return std::string_view(member->text);
}

result<std::optional<std::string_view>> Body::optional_string(std::string_view name) const {
  const Member* member = find(impl_->members, name);
  if (member == nullptr || member->kind == Kind::null) return std::optional<std::string_view>();
  if (member->kind != Kind::string) return errc::invalid_argument;
  return std::optional<std::string_view>(member->text);
}

bool Body::has(std::string_view name) const {
  return find(impl_->members, name) != nullptr;
}

namespace {

// False: `error` says why not.
bool read(const Body& body, std::string_view name, std::string& value, error_code& error) {
  const auto text = body.string(name);
  if (text)
    value = *text;
  else
    error = text.error();
  return text.has_value();
}

bool read(const Body& body, std::string_view name, std::optional<std::string>& value, error_code& error) {
  const auto text = body.optional_string(name);
  if (text)
    value = *text;
  else
    error = text.error();
  return text.has_value();
}

using DraftInBody = detail::MembersWithout<Draft, &Draft::conversation_id, &Draft::attachment_url,
                                           &Draft::attachment_type, &Draft::attachment_name>;

}  // namespace

result<Draft> parse_draft(const Body& body) {
  Draft draft;
  error_code error;
  bool is_read = true;
  detail::for_each_of<DraftInBody>([&]<class Member>(Member) {
    is_read = is_read && read(body, detail::camel_name<Member>.view(), draft.*Member::pointer, error);
  });
  if (!is_read) return error;
  return draft;
}

}  // namespace travelchat::wire
