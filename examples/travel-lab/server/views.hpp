// The JSON of the host's own routes.
//
// Pure; any thread. Names as in docs/protocol.md.
#pragma once

#include "directory.hpp"

#include <boost/json/fwd.hpp>

namespace travel_lab::views {

// {id, orgId, orgName, email, fullName, name, avatarUrl}
boost::json::object account(const Directory& directory, const Advisor& advisor);
// {id, orgId, fullName, email, avatarUrl, activeTrip}
boost::json::object client(const Directory& directory, const Client& client);
// As above and `trips`, newest first.
boost::json::object client_detail(const Directory& directory, const Client& client);
// What an advisor sees of a trip; with the link that shares it.
boost::json::object trip(const Trip& trip);
// {trip, advisor, client}: what whoever has the link sees. Without the share token.
boost::json::object trip_view(const Directory& directory, const Trip& trip);

}  // namespace travel_lab::views
