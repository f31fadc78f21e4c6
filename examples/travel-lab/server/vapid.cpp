#include "vapid.hpp"

#include "base64url.hpp"
#include "database.hpp"

#include <fcntl.h>
#include <unistd.h>
#include <boost/json.hpp>

#include <cerrno>
#include <chrono>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace travel_lab {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

// A token is used again until this much of its life is left, so that none expires on its way.
constexpr std::chrono::hours least_left{1};

[[noreturn]] void refuse(const fs::path& file, const std::string& reason) {
  throw std::runtime_error("the push key " + file.string() + ": " + reason);
}

class Descriptor {
 public:
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  bool is_open() const noexcept { return fd_ >= 0; }
  bool sync() const noexcept { return fsync(fd_) == 0; }
  bool write_all(std::string_view bytes) const noexcept {
    while (!bytes.empty()) {
      const ssize_t written = write(fd_, bytes.data(), bytes.size());
      if (written < 0 && errno != EINTR) return false;
      if (written > 0) bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return true;
  }

 private:
  int fd_;
};

// Atomic: after a crash the file is complete or absent. Only this process writes in its data folder, so a temporary
// file of that name is left from a crash and is overwritten.
void store(const fs::path& file, std::string_view content) {
  const fs::path fresh = file.string() + ".new";
  {
    const Descriptor out(open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!out.is_open() || !out.write_all(content) || !out.sync()) refuse(file, std::generic_category().message(errno));
  }
  if (std::rename(fresh.c_str(), file.c_str()) != 0) refuse(file, std::generic_category().message(errno));
  const Descriptor folder(open(file.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.is_open() || !folder.sync()) refuse(file, std::generic_category().message(errno));
}

}  // namespace

Vapid::Vapid(P256Key key, std::string contact)
    : key_(std::move(key)), contact_(std::move(contact)), public_key_(encode_base64url(key_.public_point())) {}

Vapid Vapid::load(const fs::path& file, std::string contact) {
  std::error_code ec;
  if (!fs::exists(file, ec)) {
    if (ec) refuse(file, ec.message());
    P256Key key = P256Key::generate();
    store(file, key.to_pem());
    return {std::move(key), std::move(contact)};
  }
  std::ifstream in(file, std::ios::binary);
  const std::string pem{std::istreambuf_iterator<char>(in), {}};
  if (!in) refuse(file, "cannot be read");
  auto key = P256Key::from_pem(pem);
  if (!key) refuse(file, "is no private key of the curve P-256 (PEM)");
  return {*std::move(key), std::move(contact)};
}

Vapid Vapid::load(Database& database, std::string contact) {
  std::string pem;
  const std::string fresh = P256Key::generate().to_pem();
  const auto ec = database.write([&](Connection& connection) {
    Statement(connection, "INSERT INTO push_key (id, pem) VALUES (1, ?) ON CONFLICT (id) DO NOTHING").execute(fresh);
    Statement rows(connection, "SELECT pem FROM push_key WHERE id = 1");
    if (rows.run().next()) pem = rows.text(0);
  });
  if (ec) throw std::runtime_error("the push key in the database cannot be read or stored");
  auto key = P256Key::from_pem(pem);
  if (!key) throw std::runtime_error("the push key in the database is no private key of the curve P-256 (PEM)");
  return {*std::move(key), std::move(contact)};
}

std::string Vapid::authorization(const std::string& origin, travelchat::TimePoint now) {
  auto found = tokens_.find(origin);
  if (found == tokens_.end() || found->second.expires_at - now < least_left) {
    if (found == tokens_.end() && tokens_.size() >= max_tokens) tokens_.clear();
    const travelchat::TimePoint expires_at = now + token_lifetime;
    json::object claims{{"aud", origin},
                        {"exp", std::chrono::floor<std::chrono::seconds>(expires_at).time_since_epoch().count()}};
    if (!contact_.empty()) claims.emplace("sub", contact_);
    std::string text = encode_base64url(std::string_view(R"({"typ":"JWT","alg":"ES256"})"));
    text += '.';
    text += encode_base64url(json::serialize(claims));
    const std::string signature = encode_base64url(key_.sign(text));
    text += '.';
    text += signature;
    found = tokens_.insert_or_assign(origin, Token{std::move(text), expires_at}).first;
  }
  return "vapid t=" + found->second.text + ", k=" + public_key_;
}

}  // namespace travel_lab
