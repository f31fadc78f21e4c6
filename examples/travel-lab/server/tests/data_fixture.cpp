#include "data_fixture.hpp"

#include "open_database.hpp"

#include <sodium.h>

#include <stdexcept>

Data::Data(Kind kind) {
  if (sodium_init() < 0) throw std::runtime_error("libsodium does not work here");
  if (kind == Kind::sqlite) {
    folder_.emplace();
  } else {
    schema_.emplace();
  }
  open();
}

std::unique_ptr<travel_lab::Database> Data::open_another() const {
  return folder_ ? travel_lab::open_sqlite(path()) : travel_lab::open_postgres(url(), {});
}

void add_advisor(travel_lab::Database& database, const std::string& id, const std::string& org_id) {
  using travel_lab::Statement;
  REQUIRE_FALSE(database.write([&](travel_lab::Connection& connection) {
    Statement(connection, "INSERT INTO organizations (id, name) VALUES (?, ?) ON CONFLICT DO NOTHING")
        .execute(org_id, "Org " + org_id);
    Statement(connection, "INSERT INTO advisors (id, org_id, email, full_name, password_hash) VALUES (?, ?, ?, ?, 'h')")
        .execute(id, org_id, id + "@x.example", "Name " + id);
  }));
}
