"""Dagster as the control room, beside a stock project that Dagster's own scaffold makes on the same machine."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from playwright.sync_api import Page, expect

from bench.dagsters import is_loaded, median_s, run_s, running_dagster
from bench.demo import demo, home_with_jars, is_page_live, wait_for
from bench.report import result, say
from bench.world import SYSTEMS, write_world
from bench.year import write_days
from bike_assets.local.home import CHECKOUT, instance_settings
from bike_assets.model.warehouse import WAREHOUSE_TABLES
from bike_assets_tests.browser import chromium
from bike_assets_tests.journeys.dagsters import Dagster
from bike_assets_tests.journeys.homes import BIN, Home

REPEATS = 10
LOADS = 5
BACKFILLED, TWO_YEARS = timedelta(days=365), timedelta(days=730)
LOAD_WANTED_S, POLL_WANTED_S, DAY_WANTED_S, PAGE_WANTED_S, BACKFILL_WANTED_S = 0.5, 3.0, 5.0, 2.0, 120.0

OURS = "bike_assets.definitions"
STOCK = "stock.definitions"
_STOCKS_ASSETS = """import dagster as dg

@dg.asset
def one() -> int:
    return 1

@dg.asset(partitions_def=dg.DailyPartitionsDefinition("{first}", end_offset=1))
def daily() -> None: ...

once = dg.define_asset_job("once", selection=[one])
"""
_STOCKS_DEFINITIONS = """import dagster as dg
from stock import assets

defs = dg.Definitions(assets=dg.load_assets_from_modules([assets]), jobs=[assets.once])
"""
_LOAD = """import json, sys, time
import dagster
imported = time.perf_counter()
from {module} import defs
defs.get_repository_def().load_all_definitions()
print(json.dumps([time.perf_counter() - imported, "pyspark" in sys.modules]))
"""


def run() -> None:
    """How definitions load; how long runs take from created to end; a page of two years; a backfill of one."""
    with TemporaryDirectory(prefix="bike-bench-") as directory:
        project = _scaffolded(Path(directory))
        _loads(project)
        with home_with_jars() as made, _stock(made, project) as stock:
            say("control_room: the stock project")
            trivial_s = median_s(stock, REPEATS, "once")
            stock_page_s = _page_s(stock, "daily", 0)
    _runs(trivial_s)
    _year(stock_page_s)


def _scaffolded(directory: Path) -> Path:
    """A stock project with one trivial asset and one of two years of days."""
    subprocess.run([BIN / "dagster", "project", "scaffold", "--name", "stock"], cwd=directory, check=True,
                   capture_output=True)  # fmt: skip
    package = directory / "stock" / "stock"
    (package / "assets.py").write_text(_STOCKS_ASSETS.format(first=_today() - TWO_YEARS))
    (package / "definitions.py").write_text(_STOCKS_DEFINITIONS)
    return directory / "stock"


@contextmanager
def _stock(made: Home, project: Path) -> Iterator[Dagster]:
    """The stock project as its README starts it, with an instance that has no settings."""
    instance = made.path / "stock"
    instance.mkdir()
    (instance / "dagster.yaml").touch()
    made.environment |= {"DAGSTER_HOME": str(instance), "PYTHONPATH": str(project)}
    with running_dagster(made, STOCK, "-m", STOCK) as running:
        yield running


def _loads(project: Path) -> None:
    say("control_room: definitions")
    ours, theirs = (_load_s(module, path) for module, path in ((OURS, CHECKOUT), (STOCK, project)))
    result("control_room", case="definitions", loads_s=round(ours, 2), stock_loads_s=round(theirs, 2),
           wanted_s=LOAD_WANTED_S, is_met=ours <= LOAD_WANTED_S, repeats=LOADS)  # fmt: skip


def _load_s(module: str, path: Path) -> float:
    """What definitions take beyond `import dagster` itself, in the median; they may not load Spark."""
    environment = os.environ | {"PYTHONPATH": str(path)}
    found = []
    for _ in range(LOADS):
        done = subprocess.run([sys.executable, "-c", _LOAD.format(module=module)], env=environment, check=True,
                              capture_output=True, text=True)  # fmt: skip
        load_s, has_spark = json.loads(done.stdout)
        assert not has_spark, module
        found.append(float(load_s))
    return median(found)


def _runs(trivial_s: float) -> None:
    """Of a demo that is up: a poll on demand, and the day of its recordings."""
    with home_with_jars() as made, demo(made):
        wait_for("a station among the page's answers", lambda: is_page_live(made))
        ours = Dagster(made.url("DAGSTER_PORT"), OURS)
        wait_for("the code location", lambda: is_loaded(ours))
        time.sleep(60)  # the demo's first minute: recordings are still on their way
        poll = {"ops": {"raw__answers": {"config": {"system_ids": ["oslobysykkel"]}}}}
        say("control_room: polls")
        poll_s = median_s(ours, REPEATS, "poll", config=poll)
        say(f"control_room: {poll_s:.1f} s; days")
        day = {"dagster/partition": f"{_today() - timedelta(days=1)}"}
        day_s = median_s(ours, REPEATS, "build_days", tags=day)
        load = os.getloadavg()[0]
    result("control_room", case="runs", poll_s=round(poll_s, 2), poll_wanted_s=POLL_WANTED_S, day_s=round(day_s, 2),
           day_wanted_s=DAY_WANTED_S, stock_trivial_s=round(trivial_s, 2), load_average=round(load, 1),
           is_met=poll_s <= POLL_WANTED_S and day_s <= DAY_WANTED_S, repeats=REPEATS)  # fmt: skip


def _year(stock_page_s: float) -> None:
    """A year of generated days built in one run, no service up and no check run; then a page of two years of days."""
    first = _today() - BACKFILLED
    with home_with_jars() as made:
        template, instance = made.path / "template", made.path / "dagster"
        say("control_room: making a year")
        write_world(template, 1 / SYSTEMS)
        events = write_days(template, made.path / "lake", first, BACKFILLED.days)
        instance.mkdir()
        (instance / "dagster.yaml").write_text(instance_settings())
        made.environment |= {"DAGSTER_HOME": str(instance), "BIKE_FIRST_DAY": f"{_today() - TWO_YEARS}"}
        with running_dagster(made, OURS, "-w", CHECKOUT / "workspace.yaml") as ours:
            days = {"dagster/asset_partition_range_start": f"{first}",
                    "dagster/asset_partition_range_end": f"{_today() - timedelta(days=1)}"}  # fmt: skip
            # Generated days have no live minutes, which the checks would compare with.
            tables = [{"path": list(table.path)} for table in WAREHOUSE_TABLES]
            backfill_s = run_s(ours, "__ASSET_JOB", tags=days, assetSelection=tables, assetCheckSelection=[])
            page_s = _page_s(ours, "warehouse/fact_station_hour", BACKFILLED.days)
        stations = made.rows("SELECT count(DISTINCT station_id) AS n FROM warehouse.dim_station")[0]["n"]
    result("control_room", case="year", days=BACKFILLED.days, stations=stations, events=events,
           backfill_s=round(backfill_s, 1), backfill_wanted_s=BACKFILL_WANTED_S, page_s=round(page_s, 2),
           page_wanted_s=PAGE_WANTED_S, stock_page_s=round(stock_page_s, 2),
           is_met=backfill_s <= BACKFILL_WANTED_S and page_s <= PAGE_WANTED_S)  # fmt: skip


def _page_s(running: Dagster, asset: str, materialized: int) -> float:
    """From the address of an asset's partitions to the count of those that are materialised, in the median."""
    with chromium(draws_map=False) as browser, browser.new_page(viewport={"width": 1400, "height": 900}) as page:
        _opened_s(page, running, asset, materialized)
        return median(_opened_s(page, running, asset, materialized) for _ in range(LOADS))


def _opened_s(page: Page, running: Dagster, asset: str, materialized: int) -> float:
    page.goto("about:blank")
    began = time.perf_counter()
    page.goto(f"{running.url}/assets/{asset}?view=partitions", wait_until="commit")
    expect(page.get_by_text(f"Materialized ({materialized})")).to_be_visible(timeout=60_000)
    return time.perf_counter() - began


def _today() -> date:
    return datetime.now(UTC).date()
