"""Servers that take alerts, one of each a test."""

from collections.abc import Iterator

import pytest

from bike_assets_tests.alerts.servers import HttpServer


@pytest.fixture
def server() -> Iterator[HttpServer]:
    running = HttpServer()
    yield running
    running.close()
