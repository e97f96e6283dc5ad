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

bundle=$(mktemp -d)
cp -r "${SALES_ASSETS:-/opt/sales/assets}" "$bundle/sales"
# The address holds a password: it stands in no file of the image.
python3 -c 'import os, pathlib, sys
path = pathlib.Path(sys.argv[1])
path.write_text(path.read_text().replace("__SALES_DATABASE__", os.environ["BIKE_SALES_DATABASE"]))
' "$bundle/sales/databases/sales.yaml"
(cd "$bundle" && python3 -m zipfile -c sales.zip sales)
superset import-dashboards --path "$bundle/sales.zip" --username admin
rm -r "$bundle"

exec gunicorn --bind "0.0.0.0:${SUPERSET_PORT:-8088}" --workers 1 --worker-class gthread --threads 8 --timeout 60 \
  "superset.app:create_app()"
