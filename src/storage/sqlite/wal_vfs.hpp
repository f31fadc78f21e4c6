// A VFS for the writing connection that joins what a transaction writes to the WAL into one system call.
//
// SQLite writes each frame of a WAL as two calls, its header and its page; a transaction of a group commit has more
// than a hundred frames. Here they gather in memory until SQLite asks for the sync that ends the commit. With
// synchronous=FULL that is always before the frames are published to readers, so nobody looks for them earlier; with
// less, this VFS must not be used.
#pragma once

namespace travelchat::sqlite {

// Registers the VFS once in the process and returns its name, for sqlite3_open_v2. Null when SQLite refuses.
const char* gathering_wal_vfs() noexcept;

}  // namespace travelchat::sqlite
