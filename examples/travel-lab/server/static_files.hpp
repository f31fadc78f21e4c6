// The web pages of a folder, served from memory.
//
// Read once: a path is looked up in a table, so no request can reach outside the folder and none waits for the disk.
// New files are seen after a restart. Constant once loaded; any thread.
#pragma once

#include <travelchat/beast_server.hpp>

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

namespace travel_lab {

class StaticFiles {
 public:
  static constexpr std::size_t max_total_bytes = std::size_t{256} << 20;

  // Reads every regular file below `folder`; hidden files and symbolic links are left out. Throws std::runtime_error
  // with a sentence for the operator: no such folder, no index.html, a file that cannot be read, over
  // `max_total_bytes`.
  static StaticFiles load(const std::filesystem::path& folder);

  // GET or HEAD of a path that no route has taken. Pages of the application (`is_page`) are answered with index.html.
  // 404 in the shape of every other error.
  travelchat::HttpResponse answer(const travelchat::HttpRequest& request) const;

  std::size_t size() const noexcept { return files_.size(); }

 private:
  struct Encoded {
    std::shared_ptr<const std::string> content;
    std::string etag;  // with its quotes
  };
  struct File {
    Encoded plain;
    Encoded gzip;  // `content` null when compressing does not pay
    std::string_view media_type;
    bool is_immutable = false;
  };

  std::unordered_map<std::string, File> files_;  // by path, "/assets/index-D3adBe3f.js"
};

// Whether the browser application has a page at this path.
bool is_page(std::string_view path) noexcept;
// Whether a file's name carries a hash of its content, as bundlers write it: "/assets/NAME-HASH.EXT" with
// eight characters of hash, one of them a digit or a capital letter, so that no word is taken for one.
bool is_hashed_asset(std::string_view path) noexcept;
// Whether an Accept-Encoding header allows gzip (RFC 9110 section 12.5.3).
bool accepts_gzip(std::string_view accept_encoding) noexcept;
// Whether an If-None-Match header names the entity tag (RFC 9110 section 13.1.2; weak comparison).
bool matches_etag(std::string_view if_none_match, std::string_view etag) noexcept;

}  // namespace travel_lab
