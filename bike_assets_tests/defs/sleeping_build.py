"""A command that runs a job of one asset, which is at work until it is told to end; for `test_build.py`."""

import sys
import time
from pathlib import Path

import dagster as dg

from bike_assets.defs.build import run_to_the_end
from bike_assets.model.errors import NotBuilt


@dg.asset
def sleeps() -> None:
    """At work for longer than any test."""
    time.sleep(600)


if __name__ == "__main__":
    job = dg.Definitions(assets=[sleeps]).resolve_implicit_global_asset_job_def()
    try:
        run_to_the_end(job, None, Path(sys.argv[1]), lambda _: None)
    except NotBuilt as error:
        sys.exit(f"error: {error}")
