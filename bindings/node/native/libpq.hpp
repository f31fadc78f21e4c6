// libpq, looked for when a PostgreSQL storage is first opened: a system that needs none need not have it.
//
// It cannot be linked in, since Debian's static one brings Kerberos and LDAP along. The functions that the storage
// calls are defined here and pass on to it.
#pragma once

namespace travelchat::node {

// Null, or why there is none, in words for an operator. Any thread; the first call decides.
const char* load_libpq();

}  // namespace travelchat::node
