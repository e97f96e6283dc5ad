"""A poll by hand: what it asks for, what it reports, and how it fails."""

from typing import Any

import dagster as dg
import pytest

from bike_assets.defs.ingestion.assets import answers
from bike_assets_tests.defs.conftest import Home, failure

GOOD = {"system_id": "oslo", "feed": "station_status", "outcome": "ok", "error": None,
        "rows_accepted": 3, "rows_rejected": 1, "events": 2}  # fmt: skip
BAD = GOOD | {"outcome": "timeout", "error": "no answer in 20 s", "rows_accepted": 0, "rows_rejected": 0, "events": 0}


def poll(home: Home, *system_ids: str) -> dg.ExecuteInProcessResult:
    config = dg.RunConfig(ops={"raw__answers": {"config": {"system_ids": list(system_ids)}}})
    return home.materialize(answers, run_config=config)


def numbers(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    (event,) = result.get_asset_materialization_events()
    return {name: value.value for name, value in event.materialization.metadata.items()}


def test_all_systems_are_polled_where_none_is_named(home: Home) -> None:
    home.answers([GOOD])
    assert poll(home).success
    assert home.called == ["poll", "oslo", "jcdecaux:lyon", "jcdecaux:nantes", "--json"]


def test_only_the_named_systems_are_polled(home: Home) -> None:
    home.answers([GOOD])
    assert poll(home, "jcdecaux:nantes").success
    assert home.called == ["poll", "jcdecaux:nantes", "--json"]


def test_the_counts_of_all_polls_are_reported(home: Home) -> None:
    home.answers([GOOD, GOOD | {"outcome": "not_modified"}])
    assert numbers(poll(home)) == {"polls": 2, "bad_polls": 0, "rows_accepted": 6, "rows_rejected": 2, "events": 4}


def test_a_system_that_does_not_answer_is_a_number_not_the_end(home: Home) -> None:
    home.answers([GOOD, BAD])
    assert numbers(poll(home))["bad_polls"] == 1


def test_a_bad_poll_is_warned_of(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    home.answers([BAD])
    assert poll(home).success
    assert "oslo station_status: timeout, no answer in 20 s" in capsys.readouterr().err


def test_a_system_that_nobody_polls_is_one_sentence(home: Home) -> None:
    home.answers([GOOD])
    said = failure(poll(home, "atlantis"))
    assert "atlantis is not in the sources file, which has jcdecaux:lyon, jcdecaux:nantes, oslo." in said
    assert home.called is None


def test_a_sources_file_that_is_missing_is_one_sentence(home: Home) -> None:
    home.sources.unlink()
    assert "sources.toml does not exist: `bike sources add` makes it, or copy" in failure(poll(home))


def test_a_sources_file_that_is_wrong_is_one_sentence_with_its_line(home: Home) -> None:
    home.sources.write_text('[[systems]]\nkind = "gbfs"\nsystem_id = "oslo"\nurl = "ftp://nowhere"\n')
    assert "sources.toml, line 4, url: give an http or https URL." in failure(poll(home))


def test_a_command_that_fails_fails_the_run_with_its_sentence(home: Home) -> None:
    home.fails("12:00 info starting\nerror: Kafka did not answer in 15 s: is it up?\n")
    assert failure(poll(home)).endswith("Failure: Kafka did not answer in 15 s: is it up?\n")


def test_a_command_that_dies_without_a_word_fails_the_run(home: Home) -> None:
    home.fails("", status=137)
    assert "said nothing" in failure(poll(home))
