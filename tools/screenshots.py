"""The screenshots of the README, taken of a running demo: `bike up --demo`, then `make screenshots`."""

from pathlib import Path

from playwright.sync_api import Page, ViewportSize

from bike_assets.services import dagster_url, page_url
from bike_assets.settings import load_settings
from bike_assets_tests.browser import chromium

PICTURES = Path("docs/pictures")
SIZE = ViewportSize(width=1400, height=860)


def main() -> None:
    """Take all of them, anew."""
    settings = load_settings()
    PICTURES.mkdir(parents=True, exist_ok=True)
    with chromium() as browser:
        page = browser.new_page(viewport=SIZE)
        _live_page(page, page_url(settings))
        _asset_graph(page, dagster_url(settings))


def _live_page(page: Page, url: str) -> None:
    """Oslo, with a station's panel open."""
    page.goto(f"{url}/#map=12.6/59.920/10.735")
    page.wait_for_function("() => window.bikeLive && window.bikeLive.stations.size > 200")
    page.wait_for_selector("#map[data-drawn]")
    page.get_by_placeholder("Find a station").fill("Rådhus")
    page.wait_for_timeout(1500)  # the map's own animation
    page.screenshot(path=PICTURES / "page.png")


def _asset_graph(page: Page, url: str) -> None:
    """The global asset graph with all groups open."""
    page.goto(f"{url}/asset-groups?expanded=ingestion,sources,streaming")
    page.get_by_text("Materialize all").wait_for()
    page.wait_for_timeout(4000)  # Dagster lays the graph out in a worker and says nothing when it is done
    page.screenshot(path=PICTURES / "assets.png")


if __name__ == "__main__":
    main()
