#!/bin/sh
# Makes the cluster and the database at the first start, then becomes the server.
set -eu

# Like the official image, it may be started as root, and does not stay it.
[ "$(id -u)" != 0 ] || exec setpriv --reuid postgres --regid postgres --init-groups sh "$0"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    secret=$(mktemp)
    printf '%s' "$POSTGRES_PASSWORD" >"$secret"
    initdb --username "$POSTGRES_USER" --pwfile "$secret" --auth-host scram-sha-256 --auth-local trust >/dev/null
    rm -f "$secret"
    echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
    pg_ctl -w start -o "-c listen_addresses='' -c unix_socket_directories=/var/run/postgresql" >/dev/null
    psql -q -h /var/run/postgresql -U "$POSTGRES_USER" -d postgres -c "CREATE DATABASE \"$POSTGRES_DB\""
    pg_ctl -w stop >/dev/null
fi
exec postgres -c listen_addresses='*' -c unix_socket_directories=/var/run/postgresql
