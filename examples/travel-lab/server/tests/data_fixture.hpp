// A database in a folder of its own, gone with the object.
#pragma once

#include "sqlite_database.hpp"

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

class DataFolder {
 public:
  DataFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "travelchat-data-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
    open();
  }
  DataFolder(const DataFolder&) = delete;
  DataFolder& operator=(const DataFolder&) = delete;
  ~DataFolder() {
    database_.reset();
    std::filesystem::remove_all(path_);
  }

  travel_lab::Database& database() { return *database_; }
  const std::filesystem::path& path() const { return path_; }
  void close() { database_.reset(); }
  void open() { database_ = travel_lab::open_sqlite(path_); }

 private:
  std::filesystem::path path_;
  std::unique_ptr<travel_lab::Database> database_;
};
