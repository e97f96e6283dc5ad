"""The instance's settings, here and in containers."""

import dagster as dg
import pytest
import yaml

from bike_assets.local.home import CHECKOUT


@pytest.mark.parametrize("file", ["dagster.yaml", "docker/dagster.yaml"])
def test_a_sensor_that_waits_for_a_channel_holds_up_no_other(file: str) -> None:
    there = yaml.safe_load((CHECKOUT / file).read_text())["sensors"]
    assert there["use_threads"]
    with dg.DagsterInstance.local_temp(overrides={"sensors": there}) as instance:
        assert instance.get_sensor_settings() == there
        assert there["num_workers"] >= len(["services", "quiet_systems", "ended_runs", "later_rows"])
