"""Brings the dashboard's files into Superset, in the place of what an older image brought; the address of the database
is the environment's: it holds a password, and stands in no file.
"""

import os
from pathlib import Path

from flask import g
from superset.app import create_app

ASSETS = Path(os.environ.get("SALES_ASSETS", "/opt/sales/assets"))

with create_app().app_context():
    from superset.commands.importers.v1.assets import ImportAssetsCommand
    from superset.extensions import security_manager

    g.user = security_manager.find_user("admin")
    url = os.environ["BIKE_SALES_DATABASE"]
    contents = {
        str(path.relative_to(ASSETS)): path.read_text().replace("__SALES_DATABASE__", url)
        for path in ASSETS.rglob("*.yaml")
    }
    ImportAssetsCommand(contents).run()
