"""Dagster's UI in a real browser, as an operator uses it: by the words on its buttons."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from functools import reduce
from pathlib import Path

from deltalake import DeltaTable, write_deltalake
from playwright.sync_api import Browser, Locator, Page, expect

from bike_assets.lake.tables import table_path
from bike_assets.model.schema import Table
from bike_assets_tests.journeys.dagsters import Dagster
from bike_assets_tests.journeys.homes import wait_until

LAST = """query($asset: AssetKeyInput!, $check: String!) {
    assetCheckExecutions(assetKey: $asset, checkName: $check, limit: 5) { evaluation { timestamp } } }"""
RUN_MS = 240_000.0
SHOWN_MS = 30_000.0


@contextmanager
def room(browser: Browser, url: str) -> Iterator["Room"]:
    """A tab wide enough for Dagster."""
    with browser.new_page(viewport={"width": 1400, "height": 900}) as page:
        page.set_default_timeout(SHOWN_MS)
        yield Room(page, url)


class Room:
    """What an operator does and sees in the UI at `url`."""

    def __init__(self, page: Page, url: str) -> None:
        self._page = page
        self._url = url

    def close_day(self, day: date) -> str:
        """Launch the job close_day for a day; what its run's page says at its end."""
        page = self._page
        page.goto(f"{self._url}/locations/bike_assets.definitions/jobs/close_day")
        page.get_by_role("button", name="Materialize all").click()
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_text(re.compile(r"Showing \d+ of \d+ partitions"))).to_be_visible(timeout=SHOWN_MS)
        if (all_days := dialog.get_by_text("Show all partitions")).count():  # there are more than 90
            all_days.click()
        days = dialog.get_by_role("textbox")
        days.fill(day.isoformat())
        days.press("Enter")
        dialog.get_by_role("button", name="Launch").click()
        page.get_by_text("View", exact=True).click()
        return self._said("Success", "Failure", "Canceled")

    def expect_built(self, table: Table, days: int) -> None:
        """The table's page shows so many days as materialised, and none as failed."""
        self._page.goto(f"{self._url}/assets/{'/'.join(table.path)}?view=partitions")
        for words in (f"Materialized ({days})", "Failed (0)"):
            expect(self._page.get_by_text(words)).to_be_visible(timeout=SHOWN_MS)

    def check(self, table: Table, check: str) -> str:
        """Execute a check of a table; how the page then shows it."""
        page, before = self._page, self._evaluation(table, check)
        page.goto(f"{self._url}/assets/{'/'.join(table.path)}?view=checks&checkDetail={check}")
        page.get_by_text("Execute", exact=True).click()
        wait_until(lambda: self._evaluation(table, check) not in (before, None), RUN_MS / 1000, "the check has run")
        page.reload()
        latest = page.get_by_text("Evaluation result", exact=True).locator("xpath=..")
        expect(latest).to_contain_text(re.compile("Passed|Failed"), timeout=SHOWN_MS)
        return latest.inner_text().split()[-1]

    def _evaluation(self, table: Table, check: str) -> float | None:
        """When a check last came to a result."""
        found = Dagster(self._url).ask(LAST, asset={"path": list(table.path)}, check=check)["assetCheckExecutions"]
        return max((each["evaluation"]["timestamp"] for each in found if each["evaluation"]), default=None)

    def _said(self, *words: str) -> str:
        """The first of the words that stands on the page as a tag."""
        first, *others = (self._page.get_by_text(word, exact=True) for word in words)
        tag = reduce(Locator.or_, others, first).first
        tag.wait_for(timeout=RUN_MS)
        return tag.inner_text()


def double_a_row(lake: Path, table: Table) -> None:
    """Append a row that is there already: what no writer of ours does."""
    path = str(table_path(lake, table))
    write_deltalake(path, DeltaTable(path).to_pyarrow_table().slice(0, 1), mode="append")
