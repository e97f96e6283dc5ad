"""The members' asset and its schedule."""

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from bike_assets.defs.ingestion.members import members
from bike_assets.defs.schedules import every_quarter_of_an_hour
from bike_assets.defs.shown import _preview
from bike_assets.lake.duck import connect
from bike_assets.model.tables import EVENTS_USERS
from bike_assets_tests.defs.conftest import Home, failure
from bike_assets_tests.lake.test_forgotten import add

POLLED = {"pages": 1, "rows": 3, "created": 2, "known": 1, "suppressed": 0, "rejected": 0, "is_at_end": True,
          "error": None, "members": 3, "forgotten": 0, "at": "2026-06-01T12:00:00+00:00"}  # fmt: skip


def test_a_poll_tells_how_many_and_nothing_of_anybody(home: Home) -> None:
    home.answers(POLLED)
    events = home.materialize(members).get_asset_materialization_events()
    assert [event.asset_key for event in events] == [dg.AssetKey(["topics", "users_created"]), members.key]
    for event in events:
        told = {name: value.value for name, value in event.materialization.metadata.items()}
        assert told == {name: value for name, value in POLLED.items() if name not in ("error", "forgotten", "at")}
    assert home.called == ["members", "poll", "--json"]


DOWN = "http://127.0.0.1:1/ did not answer (ConnectTimeout)"


def test_an_api_that_is_down_fails_the_run_and_says_why(home: Home) -> None:
    home.answers(POLLED | {"pages": 0, "rows": 0, "is_at_end": False, "error": DOWN})
    result = home.materialize(members)
    assert f"The members API: {DOWN}" in failure(result)
    assert result.get_asset_materialization_events() == []


def test_what_was_taken_before_the_api_went_down_is_told_with_the_reason(home: Home) -> None:
    home.answers(POLLED | {"is_at_end": False, "error": DOWN})
    result = home.materialize(members)
    assert DOWN in failure(result)
    (event,) = result.get_asset_materialization_events()
    assert event.asset_key == dg.AssetKey(["topics", "users_created"])
    told = event.materialization.metadata
    assert (told["created"].value, told["error"].value) == (2, DOWN)


def test_a_poll_that_cannot_be_is_one_sentence(home: Home) -> None:
    home.fails("error: BIKE_MEMBERS_URL names no members API.\n")
    assert "BIKE_MEMBERS_URL names no members API." in failure(home.materialize(members))


def test_it_is_asked_on_a_schedule_where_a_setting_names_it(
    bare_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tick() -> object:
        with dg.DagsterInstance.ephemeral() as instance:
            at = datetime(2026, 6, 1, 12, 15, tzinfo=UTC)
            return every_quarter_of_an_hour(dg.build_schedule_context(instance, scheduled_execution_time=at))

    assert isinstance(tick(), dg.SkipReason)
    monkeypatch.setenv("BIKE_MEMBERS_URL", "http://127.0.0.1:1/")
    assert isinstance(tick(), dg.RunRequest)


def test_no_member_is_shown_in_dagster(tmp_path: Path) -> None:
    add(tmp_path, 1)
    with connect(tmp_path, [EVENTS_USERS]) as con:
        assert _preview(con, EVENTS_USERS, None) == {}
