"""What the journeys share: an empty home for each of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bike_assets.local.jars import Jars
from bike_assets_tests.journeys.homes import Home, home


@pytest.fixture(scope="module")
def a_home(java: Path, jars: Jars, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home of this module's own."""
    with home(tmp_path_factory.mktemp("journey"), JAVA_HOME=str(java)) as made:
        yield made
