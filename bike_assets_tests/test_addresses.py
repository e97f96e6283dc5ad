"""An address names a database; which driver talks to it is ours to say."""

import pytest

from bike_assets.addresses import address


@pytest.mark.parametrize(("given", "taken"), [
    ("postgresql://me@h/x", "postgresql+psycopg://me@h/x"),
    ("postgresql+psycopg2://me@h/x", "postgresql+psycopg://me@h/x"),
    ("mysql://me@h/x", "mysql+pymysql://me@h/x"),
    ("mariadb://me@h/x", "mysql+pymysql://me@h/x"),
    ("sqlite:///x", "sqlite:///x"),
])  # fmt: skip
def test_an_address_gets_the_driver_that_we_bring(given: str, taken: str) -> None:
    assert str(address(given)) == taken
