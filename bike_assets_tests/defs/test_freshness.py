"""Every asset says how old it may be, and an instance of ours judges it."""

import shutil
from pathlib import Path

import dagster as dg
import pytest

from bike_assets.definitions import defs
from bike_assets.defs.freshness import BY_MORNING, DAILY, STREAMED

POLICIES = {
    "raw": STREAMED,
    "topics": STREAMED,
    "events": BY_MORNING,
    "live": STREAMED,
    "warehouse": BY_MORNING,
    "page": STREAMED,
    "files": None,
    "maintenance": DAILY,
}


SPECS = sorted(defs.resolve_all_asset_specs(), key=lambda spec: spec.key)  # the same order in every process


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.key.to_user_string())
def test_every_asset_has_the_freshness_policy_of_its_layer(spec: dg.AssetSpec) -> None:
    assert spec.freshness_policy == POLICIES[spec.key.path[-1] if spec.key.path[0] == "serving" else spec.key.path[0]]


def test_our_instance_judges_freshness(tmp_path: Path) -> None:
    shutil.copy(Path(__file__).parents[2] / "dagster.yaml", tmp_path)
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert instance.freshness_enabled
        assert "FRESHNESS_DAEMON" in instance.get_required_daemon_types()
