#include "nats_servers.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>

namespace travelchat::backplane_test {

namespace {

std::string file_content(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The first number behind `key` in a piece of JSON.
std::size_t number_in(const std::string& json, const std::string& key, std::size_t from = 0) {
  const std::size_t at = json.find('"' + key + '"', from);
  if (at == std::string::npos) throw std::runtime_error("no " + key + " in " + json);
  return std::stoul(json.substr(json.find(':', at) + 1));
}

}  // namespace

NatsServers::NatsServers(const std::vector<std::string>& arguments) {
  std::string pattern = (std::filesystem::temp_directory_path() / "travelchat-nats-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
  folder_ = pattern;

  std::vector<std::string> words = {TRAVELCHAT_NATS_SCRIPT, "run", folder_.string()};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  // Close-on-exec, so that no other child holds an end open.
  std::array<int, 2> input{};
  std::array<int, 2> output{};
  if (::pipe2(input.data(), O_CLOEXEC) != 0 || ::pipe2(output.data(), O_CLOEXEC) != 0) {
    throw std::runtime_error("no pipes");
  }
  runner_ = ::fork();
  if (runner_ == 0) {
    ::dup2(input[0], STDIN_FILENO);
    ::dup2(output[1], STDOUT_FILENO);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  ::close(input[0]);
  ::close(output[1]);
  runner_input_ = input[1];
  // The URLs come in one piece, once every server answers.
  std::array<char, 4096> text{};
  const ssize_t length = runner_ < 0 ? -1 : ::read(output[0], text.data(), text.size());
  ::close(output[0]);
  std::istringstream lines(std::string(text.data(), length > 0 ? static_cast<std::size_t>(length) : 0));
  for (std::string line; std::getline(lines, line);) urls_.push_back(line);
  if (urls_.empty()) throw std::runtime_error("no NATS server; scripts/bootstrap installs it");
}

NatsServers::~NatsServers() {
  ::close(runner_input_);
  ::waitpid(runner_, nullptr, 0);
}

NatsBackplaneOptions NatsServers::options() const {
  NatsBackplaneOptions options;
  options.servers = urls_;
  return options;
}

void NatsServers::kill(std::size_t server) {
  script("kill", server);
}

void NatsServers::restart(std::size_t server) {
  script("restart", server);
}

pid_t NatsServers::pid(std::size_t server) {
  return std::stoi(script("pid", server));
}

std::size_t NatsServers::subscriptions(std::size_t server) {
  const std::string ports = file_content(folder_ / "servers.json");
  std::size_t at = 0;
  for (std::size_t i = 0; i < server; ++i) at = ports.find('}', at) + 1;
  boost::asio::io_context context;
  boost::asio::ip::tcp::socket socket(context);
  socket.connect(
      {boost::asio::ip::address_v4::loopback(), static_cast<std::uint16_t>(number_in(ports, "monitor", at))});
  boost::asio::write(socket, boost::asio::buffer(std::string("GET /subsz HTTP/1.0\r\n\r\n")));
  std::string answer;
  boost::system::error_code end;
  boost::asio::read(socket, boost::asio::dynamic_buffer(answer), end);
  return number_in(answer, "num_subscriptions");
}

std::string NatsServers::script(const std::string& command, std::size_t server) const {
  // Quoted: the checkout's path may have a space.
  const std::string line =
      "'" TRAVELCHAT_NATS_SCRIPT "' " + command + " '" + folder_.string() + "' " + std::to_string(server);
  FILE* output = ::popen(line.c_str(), "re");
  if (output == nullptr) throw std::runtime_error(line);
  std::array<char, 256> text{};
  const std::size_t length = ::fread(text.data(), 1, text.size(), output);
  if (::pclose(output) != 0) throw std::runtime_error(line);
  return std::string(text.data(), length);
}

}  // namespace travelchat::backplane_test
