#include "static_files.hpp"

#include "responses.hpp"
#include "secrets.hpp"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <utility>

namespace travel_lab {
namespace {

struct MediaType {
  std::string_view extension;
  std::string_view name;
  bool is_text;  // worth compressing
};

constexpr std::array<MediaType, 20> media_types = {{
    {".html", "text/html; charset=utf-8", true},
    {".js", "text/javascript; charset=utf-8", true},
    {".mjs", "text/javascript; charset=utf-8", true},
    {".css", "text/css; charset=utf-8", true},
    {".json", "application/json", true},
    {".map", "application/json", true},
    {".webmanifest", "application/manifest+json", true},
    {".txt", "text/plain; charset=utf-8", true},
    {".svg", "image/svg+xml", true},
    {".wasm", "application/wasm", true},
    {".ico", "image/x-icon", true},
    {".png", "image/png", false},
    {".jpg", "image/jpeg", false},
    {".jpeg", "image/jpeg", false},
    {".gif", "image/gif", false},
    {".webp", "image/webp", false},
    {".avif", "image/avif", false},
    {".woff2", "font/woff2", false},
    {".mp3", "audio/mpeg", false},
    {".ogg", "audio/ogg", false},
}};
constexpr MediaType unknown_type{"", "application/octet-stream", false};

const MediaType& media_type_of(std::string_view extension) {
  const auto found = std::find_if(media_types.begin(), media_types.end(),
                                  [&](const MediaType& type) { return type.extension == extension; });
  return found == media_types.end() ? unknown_type : *found;
}

// Scripts from this server only. Styles may be inline, because React components set them. No site may frame the pages.
constexpr const char* content_security_policy =
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self'; worker-src 'self'; manifest-src 'self'; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

// The one file that is made for other sites' pages. It has no private data, so every site may load it, also with the
// `integrity` attribute, which needs CORS.
constexpr std::string_view widget_path = "/widget.js";

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string content{std::istreambuf_iterator<char>(file), {}};
  if (!file) throw std::runtime_error("cannot read " + path.string());
  return content;
}

std::string etag_of(std::string_view content) {
  static constexpr std::string_view digits = "0123456789abcdef";
  const auto digest = sha256(content);
  std::string etag = "\"";
  for (std::size_t i = 0; i < 16; ++i) {
    etag += digits[digest[i] >> 4];
    etag += digits[digest[i] & 0xF];
  }
  return etag + '"';
}

// nullopt: it would save less than a tenth.
std::optional<std::string> compress(std::string_view content) {
  if (content.size() < 1'024) return std::nullopt;
  z_stream stream{};
  constexpr int gzip_window = 15 + 16;
  if (deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, gzip_window, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    return std::nullopt;
  }
  std::string compressed(deflateBound(&stream, content.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(content.data()));
  stream.avail_in = static_cast<uInt>(content.size());
  stream.next_out = reinterpret_cast<Bytef*>(compressed.data());
  stream.avail_out = static_cast<uInt>(compressed.size());
  const bool is_done = deflate(&stream, Z_FINISH) == Z_STREAM_END;
  compressed.resize(stream.total_out);
  deflateEnd(&stream);
  if (!is_done || compressed.size() > content.size() / 10 * 9) return std::nullopt;
  return compressed;
}

// The next element of a comma-separated list, without the white space around it; shortens `list`.
std::string_view next_element(std::string_view& list) {
  const std::size_t comma = list.find(',');
  std::string_view element = list.substr(0, comma);
  list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
  while (!element.empty() && (element.front() == ' ' || element.front() == '\t')) element.remove_prefix(1);
  while (!element.empty() && (element.back() == ' ' || element.back() == '\t')) element.remove_suffix(1);
  return element;
}

}  // namespace

bool is_page(std::string_view path) noexcept {
  constexpr std::array<std::string_view, 5> pages = {"/", "/dashboard", "/clients", "/trip", "/login"};
  return std::any_of(pages.begin(), pages.end(), [path](std::string_view page) {
    if (path == page) return true;
    return page != "/" && path.starts_with(page) && path[page.size()] == '/';
  });
}

bool is_hashed_asset(std::string_view path) noexcept {
  if (!path.starts_with("/assets/")) return false;
  const std::string_view stem = path.substr(0, path.rfind('.'));
  constexpr std::size_t hash_length = 8;
  if (stem.size() <= hash_length || stem[stem.size() - hash_length - 1] != '-') return false;
  bool has_mark = false;
  for (const char c : stem.substr(stem.size() - hash_length)) {
    const bool is_mark = (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!is_mark && !(c >= 'a' && c <= 'z') && c != '_' && c != '-') return false;
    has_mark = has_mark || is_mark;
  }
  return has_mark;
}

bool accepts_gzip(std::string_view accept_encoding) noexcept {
  while (!accept_encoding.empty()) {
    const std::string_view element = next_element(accept_encoding);
    const std::string_view coding = element.substr(0, element.find_first_of(" ;"));
    if (coding != "gzip" && coding != "*") continue;
    const std::size_t weight = element.find("q=");
    if (weight == std::string_view::npos) return true;
    return element.substr(weight + 2).find_first_of("123456789") != std::string_view::npos;
  }
  return false;
}

bool matches_etag(std::string_view if_none_match, std::string_view etag) noexcept {
  while (!if_none_match.empty()) {
    std::string_view candidate = next_element(if_none_match);
    if (candidate == "*") return true;
    if (candidate.starts_with("W/")) candidate.remove_prefix(2);
    if (candidate == etag) return true;
  }
  return false;
}

StaticFiles StaticFiles::load(const std::filesystem::path& folder) {
  namespace fs = std::filesystem;
  std::error_code ec;
  fs::recursive_directory_iterator entries(folder, ec);
  if (ec) throw std::runtime_error("cannot read the web folder " + folder.string() + ": " + ec.message());

  StaticFiles loaded;
  std::size_t total = 0;
  for (auto entry = fs::begin(entries); entry != fs::end(entries); entry.increment(ec)) {
    if (entry->path().filename().string().starts_with('.')) {
      entry.disable_recursion_pending();
      continue;
    }
    if (entry->is_symlink() || !entry->is_regular_file()) continue;
    total += entry->file_size();
    if (total > max_total_bytes) throw std::runtime_error("the web folder " + folder.string() + " is too large");

    const MediaType& type = media_type_of(entry->path().extension().string());
    const std::string path = '/' + entry->path().lexically_relative(folder).generic_string();
    File file;
    file.media_type = type.name;
    file.is_immutable = is_hashed_asset(path);
    file.plain.content = std::make_shared<const std::string>(read_file(entry->path()));
    file.plain.etag = etag_of(*file.plain.content);
    if (type.is_text) {
      if (auto compressed = compress(*file.plain.content)) {
        file.gzip.content = std::make_shared<const std::string>(*std::move(compressed));
        file.gzip.etag = etag_of(*file.gzip.content);
      }
    }
    loaded.files_.emplace(path, std::move(file));
  }
  if (ec) throw std::runtime_error("cannot read the web folder " + folder.string() + ": " + ec.message());
  if (!loaded.files_.contains("/index.html")) {
    throw std::runtime_error("the web folder " + folder.string() + " has no index.html");
  }
  return loaded;
}

travelchat::HttpResponse StaticFiles::answer(const travelchat::HttpRequest& request) const {
  const auto found = files_.find(is_page(request.path) ? "/index.html" : request.path);
  if (found == files_.end()) return error_response(travelchat::errc::not_found);
  const File& file = found->second;
  const bool is_compressed = file.gzip.content != nullptr && accepts_gzip(request.header("accept-encoding"));
  const Encoded& encoded = is_compressed ? file.gzip : file.plain;

  travelchat::HttpResponse response;
  response.headers = {{"ETag", encoded.etag},
                      {"Cache-Control", file.is_immutable ? "public, max-age=31536000, immutable" : "no-cache"},
                      {"Content-Security-Policy", content_security_policy},
                      {"X-Content-Type-Options", "nosniff"},
                      // A trip's link carries its share token: other sites must not learn it.
                      {"Referrer-Policy", "same-origin"}};
  if (found->first == widget_path) {
    response.headers.emplace_back("Cross-Origin-Resource-Policy", "cross-origin");
    response.headers.emplace_back("Access-Control-Allow-Origin", "*");
  }
  if (file.gzip.content != nullptr) response.headers.emplace_back("Vary", "Accept-Encoding");
  if (matches_etag(request.header("if-none-match"), encoded.etag)) {
    response.status = 304;
    return response;
  }
  response.headers.emplace_back("Content-Type", file.media_type);
  if (is_compressed) response.headers.emplace_back("Content-Encoding", "gzip");
  response.shared_body = encoded.content;
  return response;
}

}  // namespace travel_lab
