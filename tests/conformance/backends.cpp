#include "backends.hpp"

#include "postgres_server.hpp"

#include <travelchat/memory_storage.hpp>
#include <travelchat/postgres_storage.hpp>
#include <travelchat/sqlite_storage.hpp>

#include <stdlib.h>

#include <cstdio>
#include <stdexcept>

namespace travelchat::conformance {

namespace {

class MemoryInstance final : public Instance {
 public:
  Storage& storage() override { return *storage_; }
  bool reopen() override { return false; }

 private:
  std::unique_ptr<Storage> storage_ = make_memory_storage();
};

class SqliteInstance final : public Instance {
 public:
  SqliteInstance() { open(); }
  Storage& storage() override { return *storage_; }
  bool reopen() override {
    storage_.reset();
    open();
    return true;
  }

 private:
  void open() {
    SqliteStorageOptions options;
    options.path = folder_.path() / "chat.db";
    options.checkpoint_bytes = 256 << 10;  // small enough that the longer tests pass over checkpoints
    storage_ = SqliteStorage::open(options).value();
  }

  TemporaryFolder folder_;
  std::unique_ptr<SqliteStorage> storage_;
};

class PostgresInstance final : public Instance {
 public:
  PostgresInstance() { open(); }
  Storage& storage() override { return *storage_; }
  bool reopen() override {
    storage_.reset();
    open();
    return true;
  }

 private:
  void open() {
    PostgresStorageOptions options;
    options.url = schema_.url();
    // Beside the test's own output: Catch2's messages are for one thread.
    options.log = [](std::string_view text) {
      std::fprintf(stderr, "postgres: %.*s\n", static_cast<int>(text.size()), text.data());
    };
    storage_ = PostgresStorage::open(options);
  }

  Schema schema_;
  std::unique_ptr<PostgresStorage> storage_;
};

template <class T>
std::unique_ptr<Instance> make() {
  return std::make_unique<T>();
}

}  // namespace

TemporaryFolder::TemporaryFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "travelchat-conformance-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
  path_ = pattern;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::vector<const Backend*> backends() {
  static const std::vector<Backend> all = {
      {"memory", make<MemoryInstance>},
      {"sqlite", make<SqliteInstance>},
      {"postgres", make<PostgresInstance>},
  };
  std::vector<const Backend*> list;
  for (const Backend& backend : all) list.push_back(&backend);
  return list;
}

const Backend& backend(const std::string& name) {
  for (const Backend* one : backends()) {
    if (one->name == name) return *one;
  }
  throw std::runtime_error("no backend " + name);
}

}  // namespace travelchat::conformance
