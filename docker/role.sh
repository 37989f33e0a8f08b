#!/bin/sh
# Runs once, in a new volume: the image's own user is a superuser, whom reports of your own are refused to,
# and whoever has its password has the whole server. The service gets a role that owns its database alone.
set -eu
psql --no-psqlrc --set=ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
-- from the environment: arguments can be read by every process
\getenv database POSTGRES_DB
\getenv role CHENYU_ROLE
\getenv password CHENYU_ROLE_PASSWORD
CREATE ROLE :"role" LOGIN PASSWORD :'password';
ALTER DATABASE :"database" OWNER TO :"role";
SQL
