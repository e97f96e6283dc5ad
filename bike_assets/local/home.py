"""Dagster's own home within ours."""

import os
import shutil
from pathlib import Path

from bike_assets.settings import Settings

CHECKOUT = Path(__file__).parents[2]
"""Where workspace.yaml and dagster.yaml stand."""


def dagster_home(settings: Settings) -> Path:
    """Dagster's own home within ours, with the instance's settings of the checkout."""
    home = settings.home / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    aside = home / f"dagster.yaml.{os.getpid()}"
    shutil.copyfile(CHECKOUT / "dagster.yaml", aside)
    aside.replace(home / "dagster.yaml")
    return home
