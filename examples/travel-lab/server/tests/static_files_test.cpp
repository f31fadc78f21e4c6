#include "static_files.hpp"

#include <zlib.h>
#include <catch.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace {

namespace fs = std::filesystem;
using namespace travel_lab;
using travelchat::HttpRequest;
using travelchat::HttpResponse;

class WebFolder {
 public:
  WebFolder() {
    std::string pattern = (fs::temp_directory_path() / "travelchat-web-XXXXXX").string();
    root_ = mkdtemp(pattern.data());
    fs::create_directory(root_ / "web");
    write("index.html", "<!doctype html><title>Travel Lab</title>");
  }
  WebFolder(const WebFolder&) = delete;
  WebFolder& operator=(const WebFolder&) = delete;
  ~WebFolder() { fs::remove_all(root_); }

  void write(const std::string& name, const std::string& content) const {
    fs::create_directories((path() / name).parent_path());
    std::ofstream(path() / name, std::ios::binary) << content;
  }
  fs::path path() const { return root_ / "web"; }

 private:
  fs::path root_;
};

HttpRequest get(std::string path, std::vector<std::pair<std::string, std::string>> headers = {}) {
  HttpRequest request;
  request.method = "GET";
  request.path = std::move(path);
  request.headers = std::move(headers);
  return request;
}

std::string header(const HttpResponse& response, std::string_view name) {
  for (const auto& [key, value] : response.headers) {
    if (key == name) return value;
  }
  return {};
}

std::string unzip(const std::string& compressed) {
  std::string text(1 << 20, '\0');
  z_stream stream{};
  REQUIRE(inflateInit2(&stream, 15 + 16) == Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(compressed.data()));
  stream.avail_in = static_cast<uInt>(compressed.size());
  stream.next_out = reinterpret_cast<Bytef*>(text.data());
  stream.avail_out = static_cast<uInt>(text.size());
  REQUIRE(inflate(&stream, Z_FINISH) == Z_STREAM_END);
  text.resize(stream.total_out);
  inflateEnd(&stream);
  return text;
}

}  // namespace

TEST_CASE("a file is served with its type, a strong ETag and the security headers") {
  const WebFolder folder;
  folder.write("assets/index-BnXu3k2a.js", "console.log(1)");
  const auto files = StaticFiles::load(folder.path());
  const HttpResponse script = files.answer(get("/assets/index-BnXu3k2a.js"));
  CHECK(script.status == 200);
  REQUIRE(script.shared_body);
  CHECK(*script.shared_body == "console.log(1)");
  CHECK(header(script, "Content-Type") == "text/javascript; charset=utf-8");
  CHECK(header(script, "Cache-Control") == "public, max-age=31536000, immutable");
  CHECK(header(script, "X-Content-Type-Options") == "nosniff");
  CHECK(header(script, "Content-Security-Policy").find("frame-ancestors 'none'") != std::string::npos);
  CHECK(header(script, "Referrer-Policy") == "same-origin");
  CHECK(header(script, "ETag").starts_with('"'));

  const HttpResponse page = files.answer(get("/"));
  CHECK(header(page, "Cache-Control") == "no-cache");
  CHECK(header(page, "Content-Type") == "text/html; charset=utf-8");
  CHECK(header(page, "ETag") != header(script, "ETag"));
}

TEST_CASE("the widget, and nothing else, may be loaded by other sites' pages") {
  const WebFolder folder;
  folder.write("widget.js", "1");
  folder.write("assets/widget.js", "1");
  const auto files = StaticFiles::load(folder.path());
  const HttpResponse widget = files.answer(get("/widget.js"));
  CHECK(header(widget, "Cross-Origin-Resource-Policy") == "cross-origin");
  CHECK(header(widget, "Access-Control-Allow-Origin") == "*");
  CHECK(header(widget, "Cache-Control") == "no-cache");
  for (const char* path : {"/", "/index.html", "/assets/widget.js"}) {
    CAPTURE(path);
    const HttpResponse other = files.answer(get(path));
    CHECK(other.status == 200);
    CHECK(header(other, "Cross-Origin-Resource-Policy").empty());
    CHECK(header(other, "Access-Control-Allow-Origin").empty());
  }
}

TEST_CASE("a service worker is asked for anew each time, and the pages may start it") {
  const WebFolder folder;
  folder.write("sw.js", "1");
  folder.write("manifest.webmanifest", "{}");
  const auto files = StaticFiles::load(folder.path());
  const HttpResponse worker = files.answer(get("/sw.js"));
  CHECK(header(worker, "Cache-Control") == "no-cache");
  CHECK(header(worker, "Content-Type") == "text/javascript; charset=utf-8");
  CHECK(header(files.answer(get("/manifest.webmanifest")), "Content-Type") == "application/manifest+json");
  const std::string policy = header(files.answer(get("/")), "Content-Security-Policy");
  CHECK(policy.find("worker-src 'self'") != std::string::npos);
  CHECK(policy.find("manifest-src 'self'") != std::string::npos);
}

TEST_CASE("who has the file already gets 304 without a body") {
  const WebFolder folder;
  const auto files = StaticFiles::load(folder.path());
  const std::string etag = header(files.answer(get("/")), "ETag");
  for (const std::string& given : {etag, "W/" + etag, "\"other\", " + etag, std::string("*")}) {
    CAPTURE(given);
    const HttpResponse response = files.answer(get("/", {{"if-none-match", given}}));
    CHECK(response.status == 304);
    CHECK(response.body.empty());
    CHECK(response.shared_body == nullptr);
    CHECK(header(response, "ETag") == etag);
  }
  CHECK(files.answer(get("/", {{"if-none-match", "\"other\""}})).status == 200);
}

TEST_CASE("text that gets smaller is sent with gzip to who accepts it") {
  const WebFolder folder;
  std::string text;
  for (int i = 0; i < 500; ++i) text += "line " + std::to_string(i) + '\n';
  folder.write("lines.css", text);
  const auto files = StaticFiles::load(folder.path());
  const HttpResponse plain = files.answer(get("/lines.css"));
  const HttpResponse zipped = files.answer(get("/lines.css", {{"accept-encoding", "br, gzip;q=0.5"}}));
  CHECK(*plain.shared_body == text);
  CHECK(header(plain, "Content-Encoding").empty());
  CHECK(header(zipped, "Content-Encoding") == "gzip");
  CHECK(unzip(*zipped.shared_body) == text);
  CHECK(header(plain, "ETag") != header(zipped, "ETag"));
  CHECK(header(plain, "Vary") == "Accept-Encoding");
  CHECK(header(zipped, "Vary") == "Accept-Encoding");
}

TEST_CASE("gzip is for who accepts it") {
  CHECK(accepts_gzip("gzip"));
  CHECK(accepts_gzip("gzip, deflate, br"));
  CHECK(accepts_gzip("*"));
  CHECK(accepts_gzip("deflate;q=0,gzip;q=0.001"));
  CHECK_FALSE(accepts_gzip(""));
  CHECK_FALSE(accepts_gzip("gzip;q=0"));
  CHECK_FALSE(accepts_gzip("gzip;q=0.000"));
  CHECK_FALSE(accepts_gzip("deflate, br"));
  CHECK_FALSE(accepts_gzip("xgzip"));
}

TEST_CASE("nothing outside the folder can be reached, and nothing hidden in it") {
  const WebFolder folder;
  std::ofstream(folder.path().parent_path() / "secret.txt") << "secret";
  folder.write(".env", "secret");
  folder.write(".git/config", "secret");
  fs::create_symlink(folder.path().parent_path() / "secret.txt", folder.path() / "link.txt");
  fs::create_directory_symlink(folder.path().parent_path(), folder.path() / "up");
  const auto files = StaticFiles::load(folder.path());
  CHECK(files.size() == 1);
  for (const char* path : {"/../secret.txt", "/assets/../../secret.txt", "//secret.txt", "/.env", "/.git/config",
                           "/link.txt", "/up/secret.txt", "/up/web/index.html", "/index.html/", "", "index.html"}) {
    CAPTURE(path);
    const HttpResponse response = files.answer(get(path));
    CHECK(response.status == 404);
    CHECK(response.body.find("\"code\":\"not_found\"") != std::string::npos);
  }
}

TEST_CASE("the application's pages are index.html, other unknown paths are not") {
  for (const char* path : {"/", "/login", "/dashboard", "/dashboard/messages", "/trip/1", "/clients", "/clients/2/x"}) {
    CAPTURE(path);
    CHECK(is_page(path));
  }
  for (const char* path : {"", "/api/clients", "/loginx", "/dashboards", "/assets/x.js", "/favicon.ico", "/ws/chat"}) {
    CAPTURE(path);
    CHECK_FALSE(is_page(path));
  }
}

TEST_CASE("only names with a hash are cached for ever") {
  CHECK(is_hashed_asset("/assets/index-BnXu3k2a.js"));
  CHECK(is_hashed_asset("/assets/inter-a-b_c9-d.woff2"));
  CHECK(is_hashed_asset("/assets/sub/index-12345678.css"));
  CHECK_FALSE(is_hashed_asset("/assets/index.js"));
  CHECK_FALSE(is_hashed_asset("/assets/user-settings.js"));
  CHECK_FALSE(is_hashed_asset("/assets/index-BnXu3k2.js"));
  CHECK_FALSE(is_hashed_asset("/index-BnXu3k2a.js"));
  CHECK_FALSE(is_hashed_asset("/assets/"));
}

TEST_CASE("a web folder that is none is refused at start, with its name") {
  const WebFolder folder;
  fs::remove(folder.path() / "index.html");
  CHECK_THROWS_WITH(StaticFiles::load(folder.path()), Catch::Contains("index.html"));
  CHECK_THROWS_WITH(StaticFiles::load("/nonexistent/web"), Catch::Contains("/nonexistent/web"));
}
