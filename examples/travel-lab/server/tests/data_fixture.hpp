// A database of a test's own, gone with the object: a SQLite file in a folder, or a schema on the PostgreSQL server
// that the storage's tests use too.
#pragma once

#include "conformance/postgres_server.hpp"
#include "database.hpp"

#include <catch.hpp>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

enum class Kind { sqlite, postgres };

class Data {
 public:
  explicit Data(Kind kind);
  Data(const Data&) = delete;
  Data& operator=(const Data&) = delete;

  travel_lab::Database& database() { return *database_; }
  // As a process that ends, and starts again.
  void close() { database_.reset(); }
  void open() { database_ = open_another(); }
  // As a further node; only one process can have a SQLite file.
  std::unique_ptr<travel_lab::Database> open_another() const;

  // SQLite's folder.
  const std::filesystem::path& path() const { return folder_->path(); }
  // PostgreSQL's.
  const std::string& url() const { return schema_->url(); }

 private:
  std::optional<travelchat::conformance::TemporaryFolder> folder_;
  std::optional<travelchat::conformance::Schema> schema_;
  std::unique_ptr<travel_lab::Database> database_;
};

// Makes an advisor of an organization, and the organization when there is none of that id, each with its id in its
// names.
void add_advisor(travel_lab::Database& database, const std::string& id, const std::string& org_id = "o");

// Begins a test that runs once for each kind of database, on an empty one.
#define ON_EVERY_DATABASE(data)                                 \
  const Kind kind = GENERATE(Kind::sqlite, Kind::postgres);     \
  INFO((kind == Kind::sqlite ? "on SQLite" : "on PostgreSQL")); \
  Data data(kind)
