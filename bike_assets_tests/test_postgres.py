"""The PostgreSQL of the tests."""

from pathlib import Path

import pytest

from bike_assets.model.errors import SomethingMissing
from bike_assets_tests import postgres as server
from bike_assets_tests.postgres import PASSWORD, Postgres, tool


def test_each_test_has_an_empty_database_behind_a_password(postgres: Postgres) -> None:
    assert postgres.psql("SELECT current_database()") == postgres.database
    assert postgres.psql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == "0"
    assert PASSWORD in postgres.url


def test_where_it_is_missing_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "DEBIANS", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SomethingMissing, match=r"PostgreSQL's initdb was not found: .*apt-get install postgresql"):
        tool("initdb")
