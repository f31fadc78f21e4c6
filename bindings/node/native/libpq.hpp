// Loads libpq when a PostgreSQL storage is first opened, so that other applications need not install it.
//
// It cannot be linked in: Debian's static library depends on Kerberos and LDAP. The functions that the storage calls
// are defined here and call those of the loaded library.
#pragma once

namespace travelchat::node {

// Null when it was loaded, else the reason, for an operator. Any thread; the first call decides.
const char* load_libpq();

}  // namespace travelchat::node
