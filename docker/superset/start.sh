#!/bin/sh
# Superset with the dashboard of the sales: brought in at each start, so that a newer one takes the place of an older.
set -eu
: "${SUPERSET_SECRET_KEY:?choose a key and write it to docker/.env}"
: "${SUPERSET_PASSWORD:?choose a password and write it to docker/.env}"
: "${BIKE_SALES_DATABASE:?name the database of the sales in docker/.env}"

superset db upgrade
superset fab create-admin --username admin --firstname Sales --lastname Admin --email admin@localhost \
  --password "$SUPERSET_PASSWORD"
superset init

python3 "$(dirname "$0")/load.py"

exec gunicorn --bind "0.0.0.0:${SUPERSET_PORT:-8088}" --workers 1 --worker-class gthread --threads 8 --timeout 60 \
  "superset.app:create_app()"
