"""The oracle of the warehouse: known figures of the real recordings, each column by hand, and what must always hold."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings

from bike_assets_tests.oracle.events import Line, Row, polls, read_lines
from bike_assets_tests.oracle.made import BOTH, CITIES, MADE, City, Station, instant, recordings
from bike_assets_tests.oracle.test_oracle import BESANCON, OSLO
from bike_assets_tests.oracle.warehouse import (
    FIGURES,
    FIRST,
    FLOWS,
    HOUR,
    SECONDS,
    dim_station,
    fact_station_day,
    fact_station_hour,
    fact_system_day,
    hours_of,
    metres,
)

both_kinds = pytest.mark.parametrize("city", CITIES, ids=lambda city: city.kind)
GBFS = CITIES[1]
ZONES = {city.system_id: "Europe/Oslo" for city in CITIES} | {"jcdecaux:besancon": "Europe/Paris",
                                                              "oslobysykkel": "Europe/Oslo"}
OPEN_SECONDS = ("seconds_empty", "seconds_full", "seconds_available")
SUMS = (*SECONDS, "departures", "arrivals", "times_empty", "times_full", "polls")


def in_zone(zone: str) -> dict[str, str]:
    return {city.system_id: zone for city in CITIES}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def hour(lines: list[Line], start: str, *names: str, station_id: str = "1") -> Any:
    """What the station-hour that begins then says under these names."""
    [row] = [row for row in fact_station_hour(lines, ZONES)
             if (row["station_id"], row["hour_start"]) == (station_id, instant(start))]
    return tuple(row[name] for name in names) if len(names) > 1 else row[names[0]]


def bikes_over_time(city: City, day: str, told: dict[str, int | Station | None]) -> list[Line]:
    """Polls of station 1 with so many bikes (None: it is gone); docks up to 20. Station 9 is always there."""
    lines = []
    for at, bikes in told.items():
        station = Station(bikes, 20 - bikes) if isinstance(bikes, int) else bikes
        lines.append(city.poll(f"{day} {at}", {"9": Station()} | ({} if station is None else {"1": station})))
    return lines


def hourly(first: datetime, last: datetime, bikes: int = 3) -> list[Line]:
    """Polls every 20 minutes, from the first instant up to the last."""
    steps = (last - first) // timedelta(minutes=20)
    return [GBFS.poll(first + timedelta(minutes=20) * n, {"1": Station(bikes, 7)}) for n in range(steps + 1)]


def open_seconds(row: Row) -> float:
    return float(sum(row[name] for name in OPEN_SECONDS))


# ---- the real recordings -------------------------------------------------------------------------------------------

def totals(rows: list[Row], *names: str) -> list[float]:
    return [round(sum(row[name] or 0 for row in rows), 3) for name in names]


def in_hours(rows: list[Row], *names: str) -> list[float]:
    return [round(total / 3600, 2) for total in totals(rows, *names)]


def bike_and_open_seconds(lines: list[Line]) -> tuple[float, float]:
    """Bikes times seconds, and seconds, over all open and known time: by a walk over the polls, without hours."""
    good = [poll for poll in polls(lines) if poll.is_good]
    held = [(row["bikes_available"], (later.at - poll.at).total_seconds())
            for poll, later in pairwise(good) if later.at - poll.at <= timedelta(minutes=30)
            for row in poll.stations.values() if row["is_installed"] and row["is_renting"] and row["is_returning"]]
    return sum(bikes * length for bikes, length in held), sum(length for _, length in held)


def test_besancon_has_the_figures_that_are_known() -> None:
    lines = read_lines(BESANCON)
    rows = [row for row in fact_station_hour(lines, ZONES) if row["polls"]]
    assert (len(rows), *totals(rows, "departures", "arrivals")) == (420, 285, 288)
    assert in_hours(rows, "seconds_empty", "seconds_full", "seconds_closed") == [13.65, 9.78, 0.92]
    assert totals(rows, "bulk_out", "bulk_in", "times_empty", "times_full", "polls") == [15, 21, 24, 15, 755 * 30]
    assert {(row["utc_date"], row["local_date"], row["local_hour"] - row["hour_start"].hour) for row in rows} == {
        (date(2014, 5, 22), date(2014, 5, 22), 2)}


def test_besancons_days_are_a_seen_one_and_its_two_unseen_last_hours() -> None:
    lines = read_lines(BESANCON)
    seen, unseen = fact_system_day(lines, ZONES)
    assert (seen["local_date"], seen["stations"], seen["departures"], seen["arrivals"], seen["peak_hour"]) == (
        date(2014, 5, 22), 30, 285, 288, 10)
    assert (unseen["local_date"], unseen["seconds_unknown"], unseen["polls"], unseen["bulk_out"]) == (
        date(2014, 5, 23), 30 * 2 * 3600, 0, None)
    assert not seen["is_complete"]
    assert not unseen["is_complete"]


def test_oslo_has_the_figures_that_are_known() -> None:
    lines = read_lines(OSLO)
    rows = fact_station_hour(lines, ZONES)
    assert (len(rows), *totals(rows, "departures", "arrivals")) == (255 * 24, 1205, 1198)
    assert in_hours(rows, "seconds_empty", "seconds_full") == [1946.78, 302.88]
    assert totals(rows, "times_empty", "times_full", "polls") == [269, 83, 255 * 69]
    assert {(row["bulk_out"], row["bulk_in"]) for row in rows} == {(None, None)}
    days = fact_system_day(lines, ZONES)
    assert [(row["local_date"].day, row["stations"], row["departures"], row["peak_hour"]) for row in days] == [
        (30, 255, 1159, 16), (1, 255, 46, 0)]


@pytest.mark.parametrize("recording", [BESANCON, OSLO], ids=["besancon", "oslo"])
def test_the_means_of_the_hours_hold_all_bikes_of_all_open_seconds(recording: Any) -> None:
    lines = read_lines(recording)
    bike_seconds, seconds = bike_and_open_seconds(lines)
    for rows in (fact_station_hour(lines, ZONES), fact_station_day(lines, ZONES), fact_system_day(lines, ZONES)):
        assert sum(open_seconds(row) for row in rows) == pytest.approx(seconds)
        assert sum((row["bikes_mean"] or 0) * open_seconds(row) for row in rows) == pytest.approx(bike_seconds)


def test_the_stations_of_the_recordings_have_one_version_each() -> None:
    besancon, oslo = dim_station(read_lines(BESANCON)), dim_station(read_lines(OSLO))
    assert {(row["valid_from"], row["valid_to"], row["is_current"]) for row in besancon + oslo} == {(FIRST, None, True)}
    assert [(len(rows), sum(row["is_inferred"] for row in rows)) for rows in (besancon, oslo)] == [(30, 0), (276, 16)]


# ---- rows and names of hours ---------------------------------------------------------------------------------------

@both_kinds
def test_a_station_has_rows_from_its_first_reading_to_24_hours_after_its_last(city: City) -> None:
    lines = [city.poll("28 10:20:00", {"1": BOTH["1"], "2": BOTH["2"]}), city.poll("28 11:00:00", {"1": BOTH["1"]}),
             city.poll("30 10:00:00", {"1": BOTH["1"]})]
    starts = [row["hour_start"] for row in fact_station_hour(lines, ZONES) if row["station_id"] == "2"]
    assert starts == [instant("28 10:00:00") + n * HOUR for n in range(25)]
    starts = [row["hour_start"] for row in fact_station_hour(lines, ZONES) if row["station_id"] == "1"]
    assert starts == [*(instant("28 10:00:00") + n * HOUR for n in range(26)),
                      *(instant("30 10:00:00") + n * HOUR for n in range(14))]


def test_the_last_utc_day_with_a_line_is_the_last_day_whatever_the_line() -> None:
    lines = bikes_over_time(GBFS, "30", {"23:10:00": 3})
    assert fact_station_hour(lines, ZONES)[-1]["hour_start"] == instant("30 23:00:00")
    failed = GBFS.line(instant("31 00:10:00"), status=503)
    assert fact_station_hour([*lines, failed], ZONES)[-1]["hour_start"] == instant("31 23:00:00")


@pytest.mark.parametrize(("zone", "local_date", "local_hour"), [
    ("UTC", 29, 19), ("Asia/Kolkata", 30, 0), ("America/St_Johns", 29, 16), ("Pacific/Auckland", 30, 8)])
def test_an_hour_is_named_by_the_local_time_at_its_start(zone: str, local_date: int, local_hour: int) -> None:
    lines = bikes_over_time(GBFS, "29", {"19:10:00": 3})
    row = fact_station_hour(lines, in_zone(zone))[0]
    assert (row["utc_date"].day, row["local_date"].day, row["local_hour"]) == (29, local_date, local_hour)


# ---- flows and entries ---------------------------------------------------------------------------------------------

@both_kinds
def test_bulk_moves_are_steps_of_5_bikes_between_close_polls(city: City) -> None:
    lines = bikes_over_time(city, "30", {"10:00:00": 12, "10:10:00": 8, "10:20:00": 3, "10:25:00": 10, "10:30:00": 9})
    assert hour(lines, "30 10:00:00", *FLOWS) == (4 + 5 + 1, 7, 5, 7)


@both_kinds
def test_a_step_over_10_minutes_is_no_bulk_move_and_without_a_shorter_one_bulk_is_null(city: City) -> None:
    lines = bikes_over_time(city, "30", {"10:00:00": 12, "10:10:00.001": 2, "11:05:00": 2, "11:10:00": 2})
    assert hour(lines, "30 10:00:00", *FLOWS) == (10, 0, None, None)
    assert hour(lines, "30 11:00:00", *FLOWS) == (0, 0, 0, 0)


@both_kinds
def test_a_step_belongs_to_the_hour_in_which_it_ends(city: City) -> None:
    lines = bikes_over_time(city, "30", {"10:55:00": 12, "11:00:00": 2})
    assert hour(lines, "30 10:00:00", *FLOWS) == (0, 0, None, None)
    assert hour(lines, "30 11:00:00", *FLOWS) == (10, 0, 10, 0)


@both_kinds
@pytest.mark.parametrize("between", [None, Station(12, 8, shut="is_renting"), Station(flaw="negative")],
                         ids=["absent", "closed", "rejected"])
def test_no_bulk_move_goes_over_an_absence_or_a_closure(city: City, between: Station | None) -> None:
    lines = bikes_over_time(city, "30", {"10:00:00": 12, "10:05:00": between, "10:08:00": 2})
    assert hour(lines, "30 10:00:00", *FLOWS) == (0, 0, None, None)


@both_kinds
def test_entries_are_counted_from_other_states_that_were_seen(city: City) -> None:
    shut = Station(0, 20, shut="is_installed")
    lines = bikes_over_time(city, "30", {
        "10:00:00": 0, "10:05:00": 0, "10:10:00": 20, "10:15:00": 0, "10:20:00": shut, "10:25:00": 0, "10:30:00": None,
        "10:35:00": 0, "10:40:00": 4, "10:50:00": 20, "10:55:00": 20, "12:00:00": 0})
    assert hour(lines, "30 10:00:00", "times_empty", "times_full") == (2, 2)
    assert hour(lines, "30 11:00:00", "times_empty", "times_full") == (0, 0)
    assert hour(lines, "30 12:00:00", "times_empty", "times_full") == (1, 0)


@both_kinds
def test_polls_are_the_good_polls_that_show_the_station(city: City) -> None:
    lines = [*bikes_over_time(city, "30", {"10:00:00": 3, "10:05:00": None, "10:10:00": 3}),
             city.not_modified("30 10:20:00"), city.line(instant("30 10:30:00"), status=503)]
    assert hour(lines, "30 10:00:00", "polls") == 3
    assert hour(lines, "30 10:00:00", "polls", station_id="9") == 4
    assert hour(lines, "30 11:00:00", "polls") == 0


# ---- levels --------------------------------------------------------------------------------------------------------

@both_kinds
def test_levels_hold_the_reading_carried_in_and_weigh_by_time(city: City) -> None:
    lines = bikes_over_time(city, "30", {"10:45:00": 2, "11:15:00": 6, "11:45:00": 4, "12:15:00": 0})
    assert hour(lines, "30 11:00:00", "bikes_mean", "bikes_min", "bikes_max", "docks_mean") == (
        (2 + 6 * 2 + 4) / 4, 2, 6, 20 - 18 / 4)
    assert hour(lines, "30 10:00:00", "bikes_mean", "bikes_min", "bikes_max", "docks_mean") == (2, 2, 2, 18)
    # 12:15 is the last good poll: its reading holds no known time.
    assert hour(lines, "30 12:00:00", "bikes_mean", "bikes_min", "bikes_max", "docks_mean") == (4, 4, 4, 16)
    assert hour(lines, "30 13:00:00", "bikes_mean", "bikes_min", "bikes_max", "docks_mean") == (None,) * 4


@both_kinds
def test_a_gap_inside_an_hour_is_out_of_the_seconds_and_the_levels(city: City) -> None:
    lines = bikes_over_time(city, "30", {"10:00:00": 9, "10:10:00": 2, "10:40:00.001": 5, "10:50:00": 7})
    assert hour(lines, "30 10:00:00", "seconds_available", "seconds_unknown") == (
        600 + 599.999, 1800.001 + 600)
    mean, least, most = hour(lines, "30 10:00:00", "bikes_mean", "bikes_min", "bikes_max")
    assert (least, most) == (5, 9)
    assert mean == pytest.approx((9 * 600 + 5 * 599.999) / 1199.999)
    # The rise of 3 over the gap is a flow.
    assert hour(lines, "30 10:00:00", *FLOWS) == (7, 3 + 2, 7, 0)


@both_kinds
def test_half_an_hour_between_polls_is_no_gap(city: City) -> None:
    lines = bikes_over_time(city, "30", {"10:10:00": 2, "10:40:00": 5})
    assert hour(lines, "30 10:00:00", "seconds_available", "bikes_mean") == (1800, 2)


@both_kinds
def test_a_reading_that_holds_no_second_of_the_hour_does_not_count(city: City) -> None:
    lines = bikes_over_time(city, "30", {"10:40:00": 9, "11:00:00": 2, "11:10:00": 3})
    assert hour(lines, "30 11:00:00", "bikes_mean", "bikes_max") == (2, 2)


@both_kinds
def test_closed_and_absent_time_has_no_level(city: City) -> None:
    lines = bikes_over_time(city, "30", {"10:00:00": 2, "10:10:00": Station(9, 1, shut="is_returning"),
                                         "10:20:00": 4, "10:40:00": None, "10:50:00": 9})
    assert hour(lines, "30 10:00:00", "bikes_mean", "bikes_min", "bikes_max") == (pytest.approx((2 + 4 * 2) / 3), 2, 4)


@both_kinds
def test_docks_are_averaged_over_the_time_in_which_they_are_given(city: City) -> None:
    lines = bikes_over_time(city, "30", {"10:00:00": Station(2, 8), "10:10:00": Station(2, None),
                                         "10:30:00": Station(2, 5), "10:50:00": Station(2, 999), "11:00:00": 1})
    assert hour(lines, "30 10:00:00", "bikes_mean", "docks_mean") == (2, (8 * 1 + 5 * 2) / 3)
    never = bikes_over_time(city, "30", {"10:00:00": Station(2, 999), "10:30:00": Station(2, None)})
    assert hour(never, "30 10:00:00", "bikes_mean", "docks_mean") == (2, None)


# ---- days ----------------------------------------------------------------------------------------------------------

@both_kinds
def test_a_day_sums_its_hours_and_weighs_its_means_by_open_known_time(city: City) -> None:
    none = Station(8, None)
    lines = bikes_over_time(city, "29", {
        "10:00:00": 12, "10:05:00": 2, "10:35:00": 2, "12:00:00": 6, "12:20:00": none, "12:50:00": none, "13:20:00": 0})
    [day, _] = [row for row in fact_station_day(lines, ZONES) if row["station_id"] == "1"]
    assert tuple(day[name] for name in FLOWS) == (10 + 8, 4 + 2, 10, 0)
    assert (day["seconds_available"], day["polls"], day["times_empty"]) == (300 + 1800 + 1200 + 3600, 7, 1)
    assert (day["bikes_min"], day["bikes_max"]) == (2, 12)
    assert day["bikes_mean"] == pytest.approx((12 * 300 + 2 * 1800 + 6 * 1200 + 8 * 3600) / 6900)
    # 10:00 has 2,100 s with docks; 12:00 has docks in 1,200 s of its 3,600, which all weigh; 13:00 has none.
    ten = (8 * 300 + 18 * 1800) / 2100
    assert day["docks_mean"] == pytest.approx((ten * 2100 + 14 * 3600) / (2100 + 3600))


@both_kinds
def test_a_day_has_no_bulk_moves_only_if_no_hour_could_have_any(city: City) -> None:
    apart = bikes_over_time(city, "29", {"10:00:00": 3, "10:20:00": 9})
    assert [row["bulk_in"] for row in fact_system_day(apart, ZONES)] == [None, None]
    close = bikes_over_time(city, "29", {"10:00:00": 3, "10:20:00": 9, "15:00:00": 9, "15:01:00": 9})
    assert [row["bulk_in"] for row in fact_system_day(close, ZONES)] == [0, None]


@both_kinds
def test_a_systems_day_counts_stations_and_takes_its_levels_over_all(city: City) -> None:
    lines = bikes_over_time(city, "29", {"10:00:00": 12, "10:20:00": 12, "10:30:00": None})
    day = fact_system_day(lines, ZONES)[0]
    assert (day["stations"], day["polls"], day["bikes_min"], day["bikes_max"]) == (2, 2 + 3, 3, 12)
    assert (day["bikes_mean"], day["docks_mean"]) == ((12 + 3) / 2, (8 + 7) / 2)


@both_kinds
def test_the_peak_is_the_local_hour_with_most_flows_together_the_earliest_of_equals(city: City) -> None:
    lines = bikes_over_time(city, "29", {"10:00:00": 10, "10:20:00": 7, "11:00:00": 9, "11:20:00": 8, "12:00:00": 4,
                                         "13:00:00": 4})
    peaks = [row["peak_hour"] for row in fact_station_day(lines, ZONES)]
    assert peaks == [12 + 1, None, None, None]
    assert [row["peak_hour"] for row in fact_system_day(lines, ZONES)] == [13, None]
    assert fact_system_day(lines[:4], ZONES)[0]["peak_hour"] == 10 + 1
    # Counted in local hours: 11:00 in Oslo is 15:30 in Kolkata.
    assert fact_system_day(lines[:4], in_zone("Asia/Kolkata"))[0]["peak_hour"] == 15


def test_the_local_hour_that_comes_twice_counts_as_one() -> None:
    """On 27 October 2024 both 00:00 and 01:00 UTC are 02:00 in Oslo: 2 bikes leave in each, and 3 at 05:00 UTC."""
    told = {"00:10": 9, "00:20": 7, "01:10": 7, "01:20": 5, "05:10": 5, "05:20": 2}
    lines = [GBFS.poll(at(f"2024-10-27 {time}"), {"1": Station(bikes)}) for time, bikes in told.items()]
    assert [row["peak_hour"] for row in fact_system_day(lines, ZONES)] == [2, None]


@pytest.mark.parametrize(("zone", "day", "hours"), [
    ("Europe/Oslo", date(2024, 3, 30), 24), ("Europe/Oslo", date(2024, 3, 31), 23),
    ("Europe/Oslo", date(2024, 10, 27), 25), ("America/New_York", date(2024, 11, 3), 25),
    ("America/New_York", date(2024, 3, 10), 23), ("Asia/Kolkata", date(2024, 3, 31), 24),
    ("Pacific/Kiritimati", date(2024, 3, 31), 24), ("Pacific/Pago_Pago", date(2024, 3, 31), 24)])
def test_a_local_date_has_23_24_or_25_hours(zone: str, day: date, hours: int) -> None:
    assert hours_of(day, zone) == hours


@pytest.mark.parametrize(("zone", "first", "last", "day", "hours"), [
    ("Europe/Oslo", "2024-03-30 23:00", "2024-03-31 21:40", date(2024, 3, 31), 23),
    ("Europe/Oslo", "2024-10-26 22:00", "2024-10-27 22:40", date(2024, 10, 27), 25),
    ("America/New_York", "2024-11-03 04:00", "2024-11-04 04:40", date(2024, 11, 3), 25),
    ("Asia/Kolkata", "2024-05-01 19:00", "2024-05-02 18:40", date(2024, 5, 2), 24),
    ("Pacific/Auckland", "2024-05-01 12:00", "2024-05-02 11:40", date(2024, 5, 2), 24),
])
def test_a_day_is_complete_with_all_its_hours(zone: str, first: str, last: str, day: date, hours: int) -> None:
    def days(start: datetime) -> dict[date, tuple[bool, float, int]]:
        lines = hourly(start, at(last))
        [station, system] = [{row["local_date"]: (row["is_complete"], sum(row[name] for name in SECONDS), row["polls"])
                              for row in build(lines, in_zone(zone))} for build in (fact_station_day, fact_system_day)]
        assert station == system
        return system

    assert days(at(first))[day] == (True, hours * 3600, hours * 3)
    assert days(at(first) + HOUR)[day] == (False, (hours - 1) * 3600, (hours - 1) * 3)


def test_a_day_in_america_is_complete_when_the_next_utc_day_is_there() -> None:
    lines = hourly(at("2024-05-02 04:00"), at("2024-05-02 23:40"))
    more = hourly(at("2024-05-02 04:00"), at("2024-05-03 00:00"))
    newyork = in_zone("America/New_York")
    assert [row["is_complete"] for row in fact_system_day(lines, newyork)] == [False]
    assert [row["is_complete"] for row in fact_system_day(more, newyork)] == [True, False]


def test_a_systems_day_is_complete_by_the_hours_of_all_its_stations() -> None:
    """Station 1 comes at noon: its own day is not complete, the system's is."""
    lines = [GBFS.poll(at("2024-05-02 00:00") + n * HOUR / 2, {"9": Station()} | ({"1": Station()} if n > 24 else {}))
             for n in range(48)]
    assert [(row["station_id"], row["is_complete"]) for row in fact_station_day(lines, in_zone("UTC"))] == [
        ("1", False), ("9", True)]
    assert [row["is_complete"] for row in fact_system_day(lines, in_zone("UTC"))] == [True]


# ---- dim_station ---------------------------------------------------------------------------------------------------

def described(minute: int, **said: Any) -> Line:
    """The station list of GBFS at 10:mm: station 1 with what is said of it."""
    return GBFS.information(f"30 10:{minute:02}:00", {"1": said.pop("name", "Square")}, **said)


def versions(lines: list[Line], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in dim_station(lines)]


def test_a_new_name_or_capacity_begins_a_version() -> None:
    lines = [described(0), described(1), described(2, name="New"), described(3, name="New", capacity=11),
             described(4, name="New", capacity=None), described(5)]
    assert versions(lines, "name", "capacity") == [
        ("Square", 10), ("New", 10), ("New", 11), ("New", None), ("Square", 10)]
    starts = [FIRST, *(instant(f"30 10:0{n}:00") for n in (2, 3, 4, 5))]
    assert versions(lines, "valid_from", "valid_to", "is_current", "is_inferred") == [
        (start, end, end is None, False) for start, end in zip(starts, [*starts[1:], None], strict=True)]


def test_a_degree_of_latitude_is_111_195_m_and_of_longitude_half_of_it_at_60_north() -> None:
    assert metres((0, 0), (1, 0)) == pytest.approx(111_195.08, abs=0.01)
    assert metres((60, 0), (60, 0.001)) == pytest.approx(111.195 / 2, abs=0.001)
    assert metres((10, 179.9), (10, -179.9)) == pytest.approx(metres((10, 0), (10, 0.2)))


@pytest.mark.parametrize(("lat", "lon", "found"), [
    (59.9 + 0.000224, 10.7, 1), (59.9 + 0.000226, 10.7, 2), (59.9, 10.7 + 0.000447, 1), (59.9, 10.7 + 0.000450, 2)])
def test_a_move_over_25_m_begins_a_version(lat: float, lon: float, found: int) -> None:
    assert len(dim_station([described(0), described(1, lat=lat, lon=lon)])) == found


def test_small_moves_are_measured_from_where_the_version_began() -> None:
    step = 0.00015  # 16.7 m
    lines = [described(n, lat=59.9 + n * step) for n in range(4)]
    assert versions(lines, "lat", "valid_from") == [(59.9, FIRST), (59.9 + 2 * step, instant("30 10:02:00"))]


def test_the_last_address_stands_on_all_versions() -> None:
    lines = [described(0, address="Old 1"), described(1, name="New", address="Old 1"),
             described(2, name="New", address="Long 2"), described(3, name="New", address=None)]
    assert versions(lines, "name", "address") == [("Square", "Long 2"), ("New", "Long 2")]
    assert versions([described(0)], "address") == [(None,)]


def test_the_payment_terminal_is_the_newest_of_its_version() -> None:
    def told(minute: int, name: str, banking: bool) -> Line:
        line = CITIES[0].poll(f"30 10:0{minute}:00", {"1": Station()})
        line["body"][0] |= {"name": name, "banking": banking}
        return line

    lines = [told(0, "A", False), told(1, "A", True), told(2, "B", False)]
    assert versions(lines, "name", "has_payment_terminal") == [("A", True), ("B", False)]


def test_a_station_of_which_only_accepted_status_is_known_is_inferred() -> None:
    lines = [described(0), GBFS.poll("30 10:01:00", BOTH | {"3": Station(flaw="text")})]
    assert versions(lines, "station_id", "name", "is_inferred", "valid_from") == [
        ("1", "Square", False, FIRST), ("2", None, True, FIRST)]
    assert set(versions(lines, "lat", "lon", "capacity", "address")[1]) == {None}
    later = GBFS.information("30 10:02:00", {"2": "At last"})
    assert versions([*lines, later], "name", "is_inferred", "valid_from")[1:] == [("At last", False, FIRST)]


@both_kinds
def test_a_station_that_only_a_stale_poll_showed_is_not_known(city: City) -> None:
    lines = [city.poll("30 10:00:00", {"1": Station()}), city.poll("30 10:05:00", BOTH, updated="30 09:50:00")]
    assert versions(lines, "station_id") == [("1",)]


def test_a_fact_belongs_to_the_version_at_its_start() -> None:
    lines = [described(0), *bikes_over_time(GBFS, "30", {"10:30:00": 3, "11:00:00": 3}), described(30, name="B"),
             GBFS.information("30 12:00:00", {"1": "C"})]
    found = [row["valid_from"] for row in fact_station_hour(lines, ZONES) if row["station_id"] == "1"]
    assert found[:4] == [FIRST, instant("30 10:30:00"), instant("30 12:00:00"), instant("30 12:00:00")]
    days = [row["valid_from"] for row in fact_station_day(lines, ZONES) if row["station_id"] == "1"]
    assert days == [FIRST, instant("30 12:00:00")]


# ---- always --------------------------------------------------------------------------------------------------------

def check(lines: list[Line], zone: str) -> None:
    """What DESIGN.md promises of every recording."""
    hours, stations, systems = (build(lines, in_zone(zone))
                                for build in (fact_station_hour, fact_station_day, fact_system_day))
    check_sums(hours, stations)
    check_sums(hours, systems)
    for row in (*hours, *stations, *systems):
        check_row(row)
    assert all(sum(row[name] for name in SECONDS) == pytest.approx(3600) for row in hours)
    assert all(sum(row[name] for name in SECONDS) == pytest.approx(hours_of(row["local_date"], zone) * 3600)
               for row in stations if row["is_complete"])
    check_versions(dim_station(lines))
    assert fact_station_hour(lines + lines, in_zone(zone)) == hours


def check_sums(hours: list[Row], days: list[Row]) -> None:
    """Hours add up to days, of stations and of systems; bikes times open time too; null only if all are."""
    for day in days:
        keys = [name for name in ("system_id", "station_id", "local_date") if name in day]
        of_day = [row for row in hours if all(row[name] == day[name] for name in keys)]
        assert [day[name] for name in SUMS] == pytest.approx([sum(row[name] for row in of_day) for name in SUMS])
        for name in ("bulk_out", "bulk_in"):
            given = [row[name] for row in of_day if row[name] is not None]
            assert day[name] == (sum(given) if given else None)
        assert (day["bikes_mean"] or 0) * open_seconds(day) == pytest.approx(
            sum((row["bikes_mean"] or 0) * open_seconds(row) for row in of_day))
        assert (day["peak_hour"] is None) == (day["departures"] + day["arrivals"] == 0)
    assert sum(day["polls"] for day in days) == sum(row["polls"] for row in hours)


def check_row(row: Row) -> None:
    """A row's figures agree with each other."""
    levels = row["bikes_mean"], row["bikes_min"], row["bikes_max"]
    if open_seconds(row) == 0:
        assert (*levels, row["docks_mean"]) == (None,) * 4
    else:
        mean, least, most = levels
        assert least - 1e-9 <= mean <= most + 1e-9
        assert (least == 0) == (row["seconds_empty"] > 0)
    assert (row["bulk_out"] is None) == (row["bulk_in"] is None)
    assert (row["bulk_out"] or 0) <= row["departures"]
    assert (row["bulk_in"] or 0) <= row["arrivals"]
    assert row["times_empty"] + row["times_full"] <= row["polls"]
    assert all(row[name] is None or row[name] >= 0 for name in FIGURES)


def check_versions(rows: list[Row]) -> None:
    """Versions of a station follow each other without a hole, from 1970 to now."""
    by_station: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        by_station.setdefault((row["system_id"], row["station_id"]), []).append(row)
    for of_station in by_station.values():
        ends = [FIRST, *(row["valid_to"] for row in of_station)]
        assert [row["valid_from"] for row in of_station] == ends[:-1]
        assert ends[-1] is None
        assert [row["is_current"] for row in of_station] == [end is None for end in ends[1:]]


@pytest.mark.parametrize("name", MADE)
def test_what_is_promised_holds_for_what_is_made_by_hand(name: str) -> None:
    check(MADE[name], "Europe/Oslo")


@pytest.mark.parametrize("zone", ["Europe/Oslo", "Asia/Kolkata", "America/New_York"])
@settings(max_examples=15, deadline=None)
@given(lines=recordings())
def test_what_is_promised_holds_for_anything(zone: str, lines: list[Line]) -> None:
    check(lines, zone)


def test_nothing_comes_of_nothing() -> None:
    assert [build([], {}) for build in (fact_station_hour, fact_station_day, fact_system_day)] == [[], [], []]
    assert dim_station([]) == []
