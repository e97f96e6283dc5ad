"""Dagster's own home within ours."""

from pathlib import Path

from bike_assets.files import write_whole
from bike_assets.settings import Settings

CHECKOUT = Path(__file__).parents[2]
"""Where workspace.yaml and dagster.yaml stand."""


_RECORD = """
# Dagster's own record in SQLite, which takes the events of a range of days together.
storage:
  custom:
    module: bike_assets.defs.storage
    class: Storage
    config:
      base_dir: {env: DAGSTER_HOME}
"""


def instance_settings() -> str:
    """The instance's settings of the checkout, with the record that is ours.

    That is not in the checkout's file, which is also for who loads the definitions without a home, as `dagster dev` and
    `dg check defs` do: Dagster tells no storage but its own where its temporary one is.
    """
    return (CHECKOUT / "dagster.yaml").read_text() + _RECORD


def dagster_home(settings: Settings) -> Path:
    """Dagster's own home within ours, with the instance's settings."""
    home = settings.home / "dagster"
    write_whole(home / "dagster.yaml", instance_settings().encode())
    return home
