"""The oracle itself: the figures that are known of the real recordings, cases by hand, and what must always hold."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from bike_assets_tests.oracle import made
from bike_assets_tests.oracle.events import (
    READING,
    Line,
    information_rows,
    poll_rows,
    read_lines,
    station_hours,
    station_status_rows,
    system_minute_rows,
)
from bike_assets_tests.oracle.made import CITIES, MADE, City, Step, instant, recordings

RECORDINGS = Path(__file__).parents[2] / "bike_assets" / "data" / "recordings"
BESANCON = RECORDINGS / "besancon_jcdecaux_v1_2014-05-22.jsonl.xz"
OSLO = RECORDINGS / "oslo_gbfs_2024-11-30.jsonl.xz"
SECONDS = ("seconds_empty", "seconds_full", "seconds_available", "seconds_closed", "seconds_unknown")
Make = Callable[[City], list[Line]]
both_kinds = pytest.mark.parametrize("city", CITIES, ids=lambda city: city.kind)


def events_of(lines: list[Line], station_id: str) -> list[tuple[str, str, int | None, str]]:
    """Time, kind, bikes and state of a station's events."""
    return [(f"{row['observed_at']:%H:%M:%S}", row["kind"], row["bikes_available"], row["state"])
            for row in station_status_rows(lines) if row["station_id"] == station_id]


def outcomes(lines: list[Line]) -> list[str]:
    return [row["outcome"] for row in poll_rows(lines)]


def flows(lines: list[Line]) -> tuple[int, int]:
    """Departures and arrivals by the hours, after seeing that the minutes have the same."""
    hours, minutes = station_hours(lines), system_minute_rows(lines)
    by_hour, by_minute = ([sum(row[name] for row in rows) for name in ("departures", "arrivals")]
                          for rows in (hours, minutes))
    assert by_hour == by_minute
    return by_hour[0], by_hour[1]


def seconds(lines: list[Line], station_id: str, hour: str) -> list[float]:
    """Seconds empty, full, available, closed and unknown."""
    [row] = [row for row in station_hours(lines)
             if row["station_id"] == station_id and row["hour_start"] == instant(hour)]
    return [row[name] for name in SECONDS]


# ---- the real recordings -------------------------------------------------------------------------------------------

def test_besancon_has_the_figures_that_are_known() -> None:
    lines = read_lines(BESANCON)
    hours = [row for row in station_hours(lines) if row["polls"]]
    empty, full, _, closed, _ = (round(sum(row[name] for row in hours) / 3600, 2) for name in SECONDS)
    assert (len(hours), *flows(lines), empty, full, closed) == (420, 285, 288, 13.65, 9.78, 0.92)


def test_oslo_has_the_figures_that_are_known() -> None:
    lines = read_lines(OSLO)
    hours = station_hours(lines)
    empty, full, *_ = (round(sum(row[name] for row in hours) / 3600, 2) for name in SECONDS)
    assert (len({row["station_id"] for row in hours}), *flows(lines), empty, full) == (255, 1205, 1198, 1946.78, 302.88)


def test_oslos_intervals_over_30_minutes_are_unknown() -> None:
    lines = read_lines(OSLO)
    polls = [row["fetched_at"] for row in poll_rows(lines) if row["feed"] == "station_status"]
    long = sum((later - at for at, later in pairwise(polls) if later - at > timedelta(minutes=30)), timedelta())
    unseen = polls[0] - datetime(2024, 11, 30, tzinfo=UTC) + (datetime(2024, 12, 1, tzinfo=UTC) - polls[-1])
    unknown = sum(row["seconds_unknown"] for row in station_hours(lines) if row["hour_start"].day == 30)
    assert round(255 * long.total_seconds() / 3600, 2) == 499.23
    assert unknown == pytest.approx(255 * (long + unseen).total_seconds())


# ---- by hand -------------------------------------------------------------------------------------------------------

@both_kinds
def test_a_change_wins_over_the_keyframe(city: City) -> None:
    lines = made.the_first_poll_of_an_hour_with_a_changed_station(city)
    assert events_of(lines, "1") == [("10:58:00", "change", 3, "available"), ("11:00:00", "change", 1, "available"),
                                     ("11:01:00", "change", 3, "available")]
    assert events_of(lines, "2") == [("10:58:00", "change", 0, "empty"), ("11:00:00", "keyframe", 0, "empty")]
    assert flows(lines) == (2, 2)


@both_kinds
def test_an_absence_is_told_when_it_begins_and_each_hour(city: City) -> None:
    lines = made.an_absence_over_an_hours_edge(city)
    assert events_of(lines, "2") == [("10:58:00", "change", 0, "empty"), ("10:59:00", "absent", None, "unknown"),
                                     ("11:00:00", "absent", None, "unknown"), ("12:00:00", "absent", None, "unknown"),
                                     ("12:01:00", "change", 2, "available")]
    began, first, again, _, back = [row for row in station_status_rows(lines) if row["station_id"] == "2"]
    assert (first["bikes_before"], first["docks_before"], first["state_before"]) == (0, 10, "empty")
    assert [row["state_before"] for row in (began, again, back)] == [None, None, None]
    assert again["state_since"] == first["observed_at"]
    assert back["state_since"] == back["observed_at"]
    assert flows(lines) == (0, 0)
    assert seconds(lines, "2", "30 11:00:00") == [0, 0, 0, 0, 3600]


@both_kinds
def test_a_long_gap_is_unknown_on_both_days_and_its_flows_count(city: City) -> None:
    lines = made.a_gap_of_40_minutes_over_midnight(city)
    assert seconds(lines, "1", "30 23:00:00") == [0, 0, 600, 0, 3000]
    assert seconds(lines, "1", "31 00:00:00") == [0, 0, 600, 0, 3000]
    assert flows(lines) == (2, 2)


@both_kinds
def test_a_304_brings_keyframes_from_memory(city: City) -> None:
    lines = made.nothing_new(city)
    assert outcomes(lines) == ["invalid", "ok", "not_modified", "not_modified", "not_modified", "ok", "not_modified"]
    assert events_of(lines, "1") == [("10:45:00", "change", 3, "available"), ("11:00:00", "keyframe", 3, "available"),
                                     ("11:40:00", "change", 1, "available"), ("12:00:00", "keyframe", 1, "available")]
    assert events_of(lines, "2")[-2:] == [("11:40:00", "absent", None, "unknown"),
                                          ("12:00:00", "absent", None, "unknown")]


@both_kinds
def test_a_bad_row_makes_its_station_absent_and_no_other(city: City) -> None:
    lines = made.a_rejected_row(city)
    assert [(row["rows_in"], row["rows_accepted"], row["rows_rejected"]) for row in poll_rows(lines)] == [
        (2, 2, 0), (2, 1, 1), (2, 1, 1), (2, 2, 0)]
    assert [kind for _, kind, *_ in events_of(lines, "2")] == ["change", "absent", "absent", "change"]
    assert [kind for _, kind, *_ in events_of(lines, "1")] == ["change", "keyframe"]


@both_kinds
@pytest.mark.parametrize(("make", "expected"), [
    (made.an_older_body, ["ok", "ok", "stale", "ok"]),
    (made.a_frozen_body, ["ok", "ok", "ok", "stale", "stale", "ok"]),
    (made.a_body_that_never_advanced, ["ok", "ok", "not_modified"]),
    (made.a_clock_in_the_future, ["ok", "ok", "ok", "not_modified", "ok", "ok", "stale", "ok"]),
    (made.an_empty_list, ["ok", "ok", "invalid", "ok"]),
    (made.a_body_that_is_no_json, ["ok", "invalid", "invalid", "ok"]),
    (made.repeats_and_late_lines, ["ok", "ok", "ok"]),
    (made.answers_that_failed, ["ok", "http_error", "timeout", "ok"]),
], ids=lambda value: getattr(value, "__name__", ""))
def test_every_answer_has_its_outcome(city: City, make: Make, expected: list[str]) -> None:
    rows = poll_rows(make(city))
    assert [row["outcome"] for row in rows] == expected
    assert not any(row["events"] for row in rows if row["outcome"] not in ("ok", "not_modified"))
    assert all((row["stations"] is None) == (row["outcome"] not in ("ok", "not_modified")) for row in rows)


@both_kinds
def test_polls_that_are_not_good_leave_the_keyframes_to_the_next(city: City) -> None:
    for make in (made.an_older_body, made.a_body_that_is_no_json, made.answers_that_failed):
        assert events_of(make(city), "2") == [(events_of(make(city), "2")[0][0], "change", 0, "empty"),
                                              ("11:01:00", "keyframe", 0, "empty")]


@both_kinds
def test_the_later_report_of_a_duplicate_wins(city: City) -> None:
    lines = made.a_duplicate_id(city)
    assert [bikes for _, _, bikes, _ in events_of(lines, "1")] == [3, 2]
    assert [row["rows_rejected"] for row in poll_rows(lines)] == [1, 1]


@both_kinds
def test_a_closure_breaks_the_flows(city: City) -> None:
    lines = made.a_closure(city)
    assert [state for *_, state in events_of(lines, "1")] == ["available", "closed", "closed", "available", "available"]
    assert flows(lines) == (0, 1)
    assert seconds(lines, "1", "30 11:00:00")[3] == 300


@both_kinds
def test_an_absence_is_told_for_24_hours(city: City) -> None:
    told = [row for row in station_status_rows(made.seen_again_after_a_day(city)) if row["station_id"] == "2"]
    absent = [row["observed_at"] for row in told if row["kind"] == "absent"]
    assert (len(absent), absent[0], absent[-1]) == (24, instant("28 11:00:00"), instant("29 10:00:00"))
    assert [row["observed_at"] for row in told if row["kind"] == "change"] == [
        instant("28 10:00:00"), instant("29 16:30:00"), instant("30 18:01:00")]
    assert {row["state_before"] for row in told if row["kind"] == "change"} == {None}


@both_kinds
def test_docks_that_are_not_given_are_never_full(city: City) -> None:
    lines = made.docks_that_are_not_given(city)
    assert [state for *_, state in events_of(lines, "1")] == ["available"]
    assert [state for *_, state in events_of(lines, "2")] == ["available", "full"]
    assert [state for *_, state in events_of(lines, "3")] == ["full", "empty"]
    assert [row["saturation"] for row in system_minute_rows(lines)] == [1, 1]


@both_kinds
def test_a_description_is_told_when_it_differs_from_the_last(city: City) -> None:
    times = {station_id: [row["observed_at"].minute for row in information_rows(made.descriptions(city))
                          if row["station_id"] == station_id] for station_id in "12"}
    assert times == {"1": [58, 59, 0 if city.kind == "jcdecaux" else 3], "2": [58]}


def test_an_answer_with_all_contracts_is_a_poll_of_each() -> None:
    [one] = made.a_duplicate_id(CITIES[0])[:1]
    rows = one["body"]
    both = {**one, "system_id": "jcdecaux", "body": [*rows, rows[-1] | {"contract_name": "Lyon"}]}
    only = made.a_duplicate_id(CITIES[0])[1] | {"system_id": "jcdecaux"}
    assert [(row["system_id"], row["outcome"], row["rows_in"]) for row in poll_rows([both, only])] == [
        ("jcdecaux:lyon", "ok", 1), ("jcdecaux:lyon", "invalid", 0),
        ("jcdecaux:made", "ok", 3), ("jcdecaux:made", "ok", 3)]


def test_electric_bikes_are_those_of_electric_types() -> None:
    city = CITIES[1]
    types = [{"vehicle_type_id": "a", "form_factor": "bicycle", "propulsion_type": "human"},
             {"vehicle_type_id": "b", "form_factor": "bicycle", "propulsion_type": "electric_assist"}]
    poll = city.poll("30 10:01:00", {"1": made.Station(5, 5), "2": made.Station(5, 5)})
    poll["body"]["data"]["stations"][0]["vehicle_types_available"] = [
        {"vehicle_type_id": "a", "count": 3}, {"vehicle_type_id": "b", "count": 2}]
    lines = [city.line(instant("30 10:00:00"), "vehicle_types", body={"data": {"vehicle_types": types}}), poll]
    assert [row["ebikes_available"] for row in station_status_rows(lines)] == [2, None]
    assert [row["ebikes_available"] for row in poll_rows(lines)] == [2, None]


@pytest.mark.parametrize("suffix", ["", ".xz", ".gz", ".zst"])
def test_a_recording_is_read_however_it_is_packed(tmp_path: Path, suffix: str) -> None:
    lines = [*MADE["a_body_that_is_no_json[jcdecaux]"], {"system_id": "é \"'\\ ,|\t\u2028", "feed": "gbfs.x"}]
    assert read_lines(made.write(tmp_path / f"made.jsonl{suffix}", lines)) == lines


# ---- always --------------------------------------------------------------------------------------------------------

def check(lines: list[Line]) -> None:
    """What DESIGN.md promises of every recording."""
    rows = station_status_rows(lines)
    check_polls(poll_rows(lines), rows)
    check_chains(rows)
    check_hours(lines)
    assert station_status_rows(lines + lines) == rows
    assert poll_rows(lines + lines) == poll_rows(lines)
    assert information_rows(lines + lines) == information_rows(lines)


def check_polls(polls: list[dict[str, Any]], rows: list[dict[str, Any]]) -> None:
    """Rows add up, every event belongs to a good poll."""
    assert all(row["rows_in"] == row["rows_accepted"] + row["rows_rejected"] for row in polls)
    good = {(row["system_id"], row["fetched_at"]) for row in polls if row["stations"] is not None}
    assert {(row["system_id"], row["observed_at"]) for row in rows} <= good
    assert sum(row["events"] for row in polls if row["feed"] == "station_status") == len(rows)


def check_chains(rows: list[dict[str, Any]]) -> None:
    """Every `*_before` is the event before; a state's `state_since` is when it was entered."""
    for earlier, row in pairwise(rows):
        if (earlier["system_id"], earlier["station_id"]) != (row["system_id"], row["station_id"]):
            continue
        before = (row["bikes_before"], row["docks_before"], row["state_before"])
        unseen = earlier["kind"] == "absent" or before == (None, None, None)
        assert unseen or before == (earlier["bikes_available"], earlier["docks_available"], earlier["state"])
        if not unseen and earlier["state"] == row["state"]:
            assert row["state_since"] == earlier["state_since"]
        assert (row["kind"] != "keyframe") or all(row[name] == earlier[name] for name in READING)


def check_hours(lines: list[Line]) -> None:
    """Every station-hour has 3,600 seconds; hours and minutes have the same flows."""
    for row in station_hours(lines):
        assert sum(row[name] for name in SECONDS) == pytest.approx(3600)
        assert min(row[name] for name in SECONDS) >= 0
    flows(lines)


@pytest.mark.parametrize("name", MADE)
def test_what_is_promised_holds_for_what_is_made_by_hand(name: str) -> None:
    check(MADE[name])


@settings(max_examples=60, deadline=None)
@given(recordings())
def test_what_is_promised_holds_for_anything(lines: list[Line]) -> None:
    check(lines)


def test_random_recordings_hold_every_outcome() -> None:
    """What the strategy's kinds of answers turn into, each once in a row after a good poll."""
    def outcome_after_a_good_poll(kind: str) -> str:
        steps = [Step(60_000, "poll", {}), Step(60_000, "poll", {}), Step(60_000, kind, {})]
        return outcomes(made.told(CITIES[1], steps))[-1]

    assert {kind: outcome_after_a_good_poll(kind) for kind in (
        "not_modified", "frozen", "older", "ahead", "empty", "no_json", "wrong_shape", "failed")} == {
        "not_modified": "not_modified", "frozen": "ok", "older": "stale", "ahead": "ok", "empty": "invalid",
        "no_json": "invalid", "wrong_shape": "invalid", "failed": "http_error"}


def test_times_are_kept_to_the_millisecond() -> None:
    line = CITIES[0].poll(datetime.fromisoformat("2024-03-30T10:58:00.250+01:00"), made.BOTH)
    line["fetched_at"] = "2024-03-30T10:58:00.250999+01:00"
    assert poll_rows([line])[0]["fetched_at"] == instant("30 09:58:00.250")
