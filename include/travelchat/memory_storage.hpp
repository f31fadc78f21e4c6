// A storage in the process's memory: for tests, demonstrations and conversations that need not outlive the process.
#pragma once

#include <travelchat/storage.hpp>

#include <memory>

namespace travelchat {

// Everything is lost with the object. It behaves as the durable storages, and passes the same conformance suite.
std::unique_ptr<Storage> make_memory_storage();

}  // namespace travelchat
