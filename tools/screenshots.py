"""The screenshots of the README, taken of a running demo: `bike up --demo`, then `make screenshots`.

Those of a run and of a failed check are taken where there are such; `bike build DAY` makes a run.
"""

import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, ViewportSize

from bike_assets.settings import load_settings
from bike_assets_tests.browser import chromium

PICTURES = Path("docs/pictures")
SIZE = ViewportSize(width=1400, height=860)
WIDE = ViewportSize(width=2400, height=1800)

GROUPS = ("sources", "ingestion", "streaming", "warehouse", "serving", "maintenance")

GREEN_RUN = """{
  runsOrError(filter: {statuses: [SUCCESS], pipelineName: "build_days"}, limit: 1) {
    ... on Runs { results { runId } }
  }
}"""

CHECKS = """{
  assetNodes {
    assetKey { path }
    assetChecksOrError { ... on AssetChecks { checks {
      name executionForLatestMaterialization { status evaluation { severity } }
    } } }
  }
}"""


def main() -> None:
    """Take all of them, anew."""
    settings = load_settings()
    PICTURES.mkdir(parents=True, exist_ok=True)
    with chromium() as browser:
        page = browser.new_page(viewport=SIZE)
        _live_page(page, settings.page_url)
        url = settings.dagster_ui
        _asset_graph(page, url)
        _green_run(page, url)
        _red_check(page, url)


def _live_page(page: Page, url: str) -> None:
    """Oslo, with a station's panel open."""
    page.goto(f"{url}/#map=12.6/59.920/10.735")
    page.wait_for_function("() => window.bikeLive && window.bikeLive.stations.size > 200")
    page.wait_for_selector("#map[data-drawn]")
    page.get_by_placeholder("Find a station").fill("Rådhus")
    page.wait_for_timeout(1500)  # the map's own animation
    page.screenshot(path=PICTURES / "page.png")


def _asset_graph(page: Page, url: str) -> None:
    """The global asset graph: its groups with their arrows, then all of them open."""
    page.goto(f"{url}/asset-groups")
    _drawn(page, "groups.png")
    page.set_viewport_size(WIDE)
    # So Dagster calls a group while it does not tell code locations apart.
    page.goto(f"{url}/asset-groups?expanded={','.join(f'global@global:{group}' for group in GROUPS)}")
    for _ in range(5):  # all of it at once: Dagster itself goes no further out than names can be read
        page.get_by_label("zoom_out").click()
        page.wait_for_timeout(300)
    _drawn(page, "assets.png")
    page.set_viewport_size(SIZE)


def _drawn(page: Page, name: str) -> None:
    page.get_by_text("Materialize all").wait_for()
    page.wait_for_timeout(4000)  # Dagster lays the graph out in a worker and says nothing when it is done
    page.screenshot(path=PICTURES / name)


def _green_run(page: Page, url: str) -> None:
    """The newest run of days that went well."""
    for run in _asked(page, url, GREEN_RUN)["runsOrError"]["results"]:
        page.goto(f"{url}/runs/{run['runId']}")
        page.get_by_text("Success").first.wait_for()
        page.wait_for_timeout(2000)
        page.screenshot(path=PICTURES / "run.png")
        return
    sys.stderr.write("No run of days went well yet: no run.png; `bike build DAY` makes one.\n")


def _red_check(page: Page, url: str) -> None:
    """A check that failed, and not one that only warns."""
    for asset in _asked(page, url, CHECKS)["assetNodes"]:
        for check in asset["assetChecksOrError"].get("checks", []):
            last = check["executionForLatestMaterialization"] or {}
            if last.get("status") == "FAILED" and last["evaluation"]["severity"] == "ERROR":
                path = "/".join(asset["assetKey"]["path"])
                page.goto(f"{url}/assets/{path}?view=checks&checkDetail={check['name']}")
                page.get_by_text("Failed").first.wait_for()
                page.wait_for_timeout(2000)
                page.screenshot(path=PICTURES / "check.png")
                return
    sys.stderr.write("No check failed: no check.png.\n")


def _asked(page: Page, url: str, query: str) -> Any:
    return page.request.post(f"{url}/graphql", data={"query": query}).json()["data"]


if __name__ == "__main__":
    main()
