"""What the tests of the page share."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from bike_assets_tests.browser import chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real headless browser, one for a module."""
    with chromium() as running:
        yield running
