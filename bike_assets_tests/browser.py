"""The real browser of the tests and of the README's pictures: the Chromium that the system brings."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, expect, sync_playwright

from bike_assets.model.errors import SomethingMissing

NAMES = ("chromium", "chromium-browser", "google-chrome")

LOOKS_S = 60
"""How long a test looks for what is to come on screen: on a busy machine its own five seconds are none."""

_ARGUMENTS = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
# The map needs WebGL 2, which a machine without a graphics card draws in software.
_DRAWS = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
_DRAWS_NO_MAP = ("--disable-gpu", "--disable-3d-apis")


def find_chromium() -> str:
    """The browser's path. Raises SomethingMissing with how to get it."""
    for name in NAMES:
        path = shutil.which(name)
        if path:
            return path
    raise SomethingMissing(
        f"No browser found ({', '.join(NAMES)}): install Chromium, on Debian by `apt-get install chromium`."
    )


@contextmanager
def chromium(*, draws_map: bool = True) -> Iterator[Browser]:
    """A headless Chromium that starts no requests of its own.

    One that draws no map leaves its core to others: lists, search and what the page remembers are the same.
    """
    expect.set_options(timeout=LOOKS_S * 1000)
    arguments = [*_ARGUMENTS, *(_DRAWS if draws_map else _DRAWS_NO_MAP)]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=arguments)
        try:
            yield browser
        finally:
            browser.close()
