"""Every asset says how old it may be, and an instance of ours judges it."""

import shutil
from pathlib import Path

import dagster as dg
import pytest

from bike_assets.definitions import defs
from bike_assets.defs.freshness import BY_MORNING, DAILY, STREAMED, with_freshness

POLICIES = {
    "raw": STREAMED,
    "topics": STREAMED,
    "events": BY_MORNING,
    "live": STREAMED,
    "warehouse": BY_MORNING,
    "page": STREAMED,
    "files": None,
    "sinks": None,
    "maintenance": DAILY,
}
VIEWS = {"live/station_status", "live/vehicle_status"}
BY_CHANCE = {"topics/orders", "live/orders_by_source_state", "topics/members_state", "raw/members",
             "topics/users_created"}  # fmt: skip
"""Nobody may order or join for a long time; these settings name no members API."""


SPECS = sorted(defs.resolve_all_asset_specs(), key=lambda spec: spec.key)  # the same order in every process


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.key.to_user_string())
def test_every_asset_has_the_freshness_policy_of_its_layer(spec: dg.AssetSpec) -> None:
    layer = spec.key.path[-1] if spec.key.path[0] == "serving" else spec.key.path[0]
    is_without = spec.key.to_user_string() in BY_CHANCE | VIEWS
    assert spec.freshness_policy == (None if is_without else POLICIES[layer])


@pytest.mark.parametrize("name", ["raw/members", "topics/users_created"])
def test_members_are_late_only_where_a_setting_names_their_api(name: str) -> None:
    spec = dg.AssetSpec(dg.AssetKey(name.split("/")))
    assert with_freshness(spec, has_members=False).freshness_policy is None
    assert with_freshness(spec, has_members=True).freshness_policy == STREAMED


def test_our_instance_judges_freshness(tmp_path: Path) -> None:
    shutil.copy(Path(__file__).parents[2] / "dagster.yaml", tmp_path)
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert instance.freshness_enabled
        assert "FRESHNESS_DAEMON" in instance.get_required_daemon_types()
