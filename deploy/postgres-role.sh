#!/bin/sh
# Run once by the image of PostgreSQL, when it has made its cluster: the role and the database of the nodes. The superuser
# keeps no password, so that nobody becomes it from outside of the container.
set -eu
psql -v ON_ERROR_STOP=1 --no-psqlrc --quiet --username postgres --dbname postgres <<'SQL'
\getenv password POSTGRES_PASSWORD
CREATE ROLE travelchat LOGIN PASSWORD :'password';
CREATE DATABASE travelchat OWNER travelchat;
ALTER ROLE postgres PASSWORD NULL;
SQL
