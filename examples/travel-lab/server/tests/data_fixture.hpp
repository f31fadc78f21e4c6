// A database in a folder of its own, gone with the object.
#pragma once

#include "data_folder.hpp"

#include <travelchat/sqlite_storage.hpp>

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
    storage_.reset();
    std::filesystem::remove_all(path_);
  }

  travelchat::SqliteStorage& storage() { return *storage_; }
  const std::filesystem::path& path() const { return path_; }
  void close() { storage_.reset(); }
  void open() { storage_ = travel_lab::open_data(path_); }

 private:
  std::filesystem::path path_;
  std::unique_ptr<travelchat::SqliteStorage> storage_;
};
