#!/usr/bin/env bash
# Runs once, when the PostgreSQL volume is empty: for each service a database of its own, closed to the rest, with a role
# that owns it and migrates it and a role the service runs as; and one role for auditors, who read. What each may do with
# the tables is granted by the migrations.
set -eu

psql --quiet --set ON_ERROR_STOP=1 --set password="${SALUR_AUDITOR_PASSWORD:?}" \
  --username "$POSTGRES_USER" --dbname postgres <<'SQL'
CREATE ROLE auditor LOGIN PASSWORD :'password';
SQL

for service in registry eligibility payments audit; do
  variable="SALUR_${service^^}_PASSWORD"
  owner_variable="SALUR_${service^^}_OWNER_PASSWORD"
  psql --quiet --set ON_ERROR_STOP=1 --set name="$service" --set password="${!variable:?}" \
    --set owner="${service}_owner" --set owner_password="${!owner_variable:?}" \
    --username "$POSTGRES_USER" --dbname postgres <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE ROLE :"owner" LOGIN PASSWORD :'owner_password';
CREATE DATABASE :"name" OWNER :"owner";
REVOKE CONNECT ON DATABASE :"name" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"name" TO :"name";
SQL
done
