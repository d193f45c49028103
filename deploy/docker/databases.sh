#!/usr/bin/env bash
# Runs once, when the PostgreSQL volume is empty: a role and a database of its own for each service, closed to the rest.
set -eu

for service in registry eligibility payments audit; do
  variable="SALUR_${service^^}_PASSWORD"
  psql --quiet --set ON_ERROR_STOP=1 --set name="$service" --set password="${!variable:?}" \
    --username "$POSTGRES_USER" --dbname postgres <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
REVOKE CONNECT ON DATABASE :"name" FROM PUBLIC;
SQL
done
