#include "views.hpp"

#include <boost/json.hpp>

#include <utility>

namespace travel_lab::views {
namespace {

namespace json = boost::json;

json::value or_null(const std::optional<std::string>& text) {
  return text ? json::value(*text) : json::value(nullptr);
}

json::object public_trip(const Trip& trip) {
  return {{"id", trip.id},
          {"clientId", or_null(trip.client_id)},
          {"orgId", trip.org_id},
          {"title", trip.title},
          {"destination", trip.destination},
          {"startsOn", trip.starts_on},
          {"endsOn", trip.ends_on},
          {"summary", trip.summary}};
}

}  // namespace

json::object account(const Directory& directory, const Advisor& advisor) {
  const Organization* organization = directory.find_organization(advisor.org_id);
  return {{"id", advisor.id},
          {"orgId", advisor.org_id},
          {"orgName", organization == nullptr ? std::string_view() : std::string_view(organization->name)},
          {"email", advisor.email},
          {"fullName", advisor.full_name},
          {"name", advisor.full_name},
          {"avatarUrl", avatar_path(advisor.id)}};
}

json::object client(const Directory& directory, const Client& client) {
  json::value active = nullptr;
  if (const Trip* trip = directory.active_trip(client.id)) {
    active = json::object{{"id", trip->id}, {"title", trip->title}};
  }
  return {{"id", client.id},
          {"orgId", client.org_id},
          {"fullName", client.full_name},
          {"email", or_null(client.email)},
          {"avatarUrl", avatar_path(client.id)},
          {"activeTrip", std::move(active)}};
}

json::object trip(const Trip& trip) {
  json::object object = public_trip(trip);
  object["shareEnabled"] = trip.share_enabled;
  object["shareToken"] = trip.share_token;
  return object;
}

json::object client_detail(const Directory& directory, const Client& row) {
  json::object object = client(directory, row);
  json::array trips;
  for (const Trip* each : directory.trips_of_client(row.id)) trips.push_back(trip(*each));
  object["trips"] = std::move(trips);
  return object;
}

json::object trip_view(const Directory& directory, const Trip& trip) {
  json::object object{{"trip", public_trip(trip)}, {"advisor", nullptr}, {"client", nullptr}};
  if (const Advisor* advisor = directory.find_advisor(trip.advisor_id)) {
    object["advisor"] = json::object{
        {"fullName", advisor->full_name}, {"name", advisor->full_name}, {"avatarUrl", avatar_path(advisor->id)}};
  }
  if (trip.client_id) {
    if (const Client* row = directory.find_client(*trip.client_id)) {
      object["client"] = json::object{{"fullName", row->full_name}};
    }
  }
  return object;
}

}  // namespace travel_lab::views
