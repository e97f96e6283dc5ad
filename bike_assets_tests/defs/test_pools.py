"""Which runs wait for each other."""

from pathlib import Path

import dagster as dg
import pytest

from bike_assets.definitions import defs
from bike_assets.defs.pools import DRAIN, WAREHOUSE, make_known

CHECKOUT = Path(__file__).parents[2]
JOBS = {
    "drain": {DRAIN},
    "close_day": {DRAIN, WAREHOUSE},
    "build_days": {WAREHOUSE},
    "rebuild": {WAREHOUSE},
    "maintain": {WAREHOUSE},
    "poll": set(),
    "export": set(),
    "check_stream": set(),
}


@pytest.mark.parametrize("name", JOBS)
def test_a_job_takes_the_pools_of_what_it_writes(name: str) -> None:
    assert {pool for node in defs.resolve_job_def(name).graph.nodes for pool in node.definition.pools} == JOBS[name]


def test_the_first_runs_of_an_instance_find_the_pools_limited(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text((CHECKOUT / "dagster.yaml").read_text())
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        make_known(instance)
        limits = {each.name: each.limit for each in instance.event_log_storage.get_pool_limits()}
        assert limits == {DRAIN: 1, WAREHOUSE: 1}
        assert instance.event_log_storage.get_concurrency_keys() == {DRAIN, WAREHOUSE}


@pytest.mark.parametrize("file", ["dagster.yaml", "docker/dagster.yaml"])
def test_a_pool_is_had_by_one_run_at_a_time(file: str, tmp_path: Path) -> None:
    text = (CHECKOUT / file).read_text().partition("\nstorage:")[0]
    (tmp_path / "dagster.yaml").write_text(text)
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        config = instance.get_concurrency_config()
    pools, queue = config.pool_config, config.run_queue_config
    assert (pools.default_pool_limit, str(pools.pool_granularity)) == (1, "PoolGranularity.RUN")
    assert queue is not None
    assert queue.max_concurrent_runs == 4
