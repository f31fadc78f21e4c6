// The storages that must behave as storage.hpp says. A new one is added to `backends()`, and every test here runs on
// it.
#pragma once

#include "catch.hpp"

#include <travelchat/storage.hpp>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace travelchat::conformance {

// An empty folder that goes away with its owner.
class TemporaryFolder {
 public:
  TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder();

  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
};

// One storage under test, empty when made.
class Instance {
 public:
  virtual ~Instance() = default;
  virtual Storage& storage() = 0;
  // Ends the storage and opens it again on what it kept. False, and nothing happens, when it keeps nothing.
  virtual bool reopen() = 0;
};

struct Backend {
  std::string name;
  std::function<std::unique_ptr<Instance>()> make;
};

std::vector<const Backend*> backends();
// The one of that name.
const Backend& backend(const std::string& name);

}  // namespace travelchat::conformance

// Boost's own insertion operator wants one for the value, which a failed expectation would then print in full.
template <class T>
struct Catch::StringMaker<boost::system::result<T, boost::system::error_code>> {
  static std::string convert(const boost::system::result<T, boost::system::error_code>& outcome) {
    return outcome ? "a value" : std::string(travelchat::describe(outcome.error()).name);
  }
};

// Begins a test that runs once for each backend, on an empty storage.
#define ON_EVERY_BACKEND(chat)                                                             \
  const auto* const backend = GENERATE(from_range(::travelchat::conformance::backends())); \
  INFO("backend: " << backend->name);                                                      \
  ::travelchat::conformance::Chat chat(backend->make())
