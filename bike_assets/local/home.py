"""Dagster's own home within ours."""

from pathlib import Path

from bike_assets.files import write_whole
from bike_assets.settings import Settings

CHECKOUT = Path(__file__).parents[2]
"""Where workspace.yaml and dagster.yaml stand."""


def dagster_home(settings: Settings) -> Path:
    """Dagster's own home within ours, with the instance's settings of the checkout."""
    home = settings.home / "dagster"
    write_whole(home / "dagster.yaml", (CHECKOUT / "dagster.yaml").read_bytes())
    return home
