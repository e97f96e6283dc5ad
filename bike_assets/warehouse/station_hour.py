"""`warehouse.fact_station_hour`, without a window over the events.

In an hour's first good poll every known station has an event, and each event says what was before it. So the time
in a state is a telescoping sum over the hour's events: with K(t) the known time of the hour after t, +K(t) for the
state that an event enters and -K(t) for the one that it leaves. The same sum weighted by bikes and docks gives their
means, and with the number of polls from t on in the place of K it counts the polls that show the station.
"""

from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from bike_assets.lake.conditions import is_open
from bike_assets.model.constants import BULK_STEP_BIKES
from bike_assets.model.readings import State
from bike_assets.model.warehouse import FACT_STATION_HOUR
from bike_assets.warehouse.polls import system_hour, system_hours, system_number, watched_hours
from bike_assets.warehouse.presence import unwatched_hours
from bike_assets.warehouse.shape import HOUR_MS, hour_of, shaped, start_of
from bike_assets.warehouse.station_keys import with_station_keys

_KEY = ("system_hour", "station_id")
_STATES = (State.EMPTY, State.FULL, State.AVAILABLE, State.CLOSED)
_BROADCAST_DAYS = 7
"""A row per system and hour goes to every task up to so many days: 60 MB of the world's systems a week."""


def station_hours(
    status: DataFrame, polls: DataFrame, systems: DataFrame, stations: DataFrame, first: date, last: date
) -> DataFrame:
    """Rows of `warehouse.fact_station_hour` of the UTC dates `first` to `last`, both included.

    In:  `status`: `events.station_status` of the dates from the day before `first` (which stations had a reading
         in the 24 h before) to `last`;
         `polls`: `events.polls` from the day before `first` to the day after `last` (the intervals that end with
         the first and begin with the last poll);
         `systems`, `stations`: all of `dim_system` and `dim_station`.
    """
    near = F.broadcast if (last - first).days < _BROADCAST_DAYS else _as_it_is
    seen = _measured(_with_polls(_events_of(status, first, last), near(watched_hours(polls, first, last))))
    unseen = unwatched_hours(status, first, last)
    rows = seen.unionByName(unseen, allowMissingColumns=True).fillna(0, _ZEROS)
    local = rows.join(near(system_hours(systems, first, last)), "system_hour")
    return shaped(with_station_keys(_finished(local), stations, "hour_start"), FACT_STATION_HOUR)


def _as_it_is(rows: DataFrame) -> DataFrame:
    return rows


def _events_of(status: DataFrame, first: date, last: date) -> DataFrame:
    at = F.unix_millis("observed_at")
    since_hour = F.col("at") - F.col("hour") * HOUR_MS
    return (
        status.where(F.col("utc_date").between(first, last))
        .select(*_EVENT, "system_id", hour_of(at).alias("hour"), at.alias("at"))
        .select(*_EVENT, system_hour(system_number()), since_hour.cast("int").alias("at_ms"))
    )


_EVENT = ("station_id", "bikes_available", "docks_available", "state",
          "bikes_before", "docks_before", "state_before")  # fmt: skip


def _with_polls(events: DataFrame, hours: DataFrame) -> DataFrame:
    """Events with what the polls of their hour tell of their instant.

    Adds `is_first` (it is the hour's first good poll), `known_ms` (K: known time after it) and `left_ms` (what the
    state before it gets: what is known before the hour's first poll, -K at a later one).
    """
    at, gap_from = F.col("at_ms"), F.col("gap_from_ms")
    inner_gap = F.when(at <= gap_from, F.col("gap_to_ms") - gap_from).otherwise(0)
    return (
        events.join(hours, "system_hour")
        .withColumns({
            "is_first": at == F.col("first_ms"),
            "known_ms": (F.greatest(F.col("known_to_ms") - at, F.lit(0)) - inner_gap).cast("bigint"),
            "is_open": is_open("state"), "was_open": is_open("state_before"),
        })
        .withColumn("left_ms", F.when(F.col("is_first"), F.col("lead_ms")).otherwise(-F.col("known_ms")))
    )  # fmt: skip


def _measured(events: DataFrame) -> DataFrame:
    """The sums over a station's events of an hour."""
    step = F.when(F.col("is_open") & F.col("was_open"), F.col("bikes_available") - F.col("bikes_before"))
    rows = events.withColumn("step", step).withColumn("bulk", F.when(_is_bulk(), F.col("step")))
    return rows.groupBy(*_KEY).agg(
        *(F.sum(_time_in(state)).alias(f"{state}_ms") for state in _STATES),
        F.sum(F.greatest(-F.col("step"), F.lit(0))).alias("departures"),
        F.sum(F.greatest(F.col("step"), F.lit(0))).alias("arrivals"),
        F.sum(F.greatest(-F.col("bulk"), F.lit(0))).alias("bulk_out"),
        F.sum(F.greatest(F.col("bulk"), F.lit(0))).alias("bulk_in"),
        F.sum(_short_steps()).alias("short_steps"),
        F.sum(_entered(State.EMPTY)).alias("times_empty"),
        F.sum(_entered(State.FULL)).alias("times_full"),
        F.sum(_weighted("bikes_available", "bikes_before")).alias("bike_ms"),
        F.sum(_weighted("docks_available", "docks_before")).alias("dock_ms"),
        F.sum(_given_docks()).alias("docks_given_ms"),
        F.min(F.least(*_held_bikes())).alias("bikes_min"),
        F.max(F.greatest(*_held_bikes())).alias("bikes_max"),
        F.max(_bikes_into_gap()).alias("bikes_into_gap"),
        F.max(F.col("at_ms") == F.col("gap_to_ms")).alias("is_changed_by_gap"),
        F.sum(_polls_seen()).alias("polls"),
    )


def _time_in(state: State) -> Column:
    entered = F.when(F.col("state") == state.value, F.col("known_ms")).otherwise(0)
    return entered + F.when(F.col("state_before") == state.value, F.col("left_ms")).otherwise(0)


def _entered(state: State) -> Column:
    """1 for an entry from another state that is not unknown."""
    return ((F.col("state") == state.value) & (F.col("state_before") != state.value)).cast("int")


def _weighted(now: str, before: str) -> Column:
    """A level times its open and known time, in ms; nothing where it is not given."""
    entered = F.when(F.col("is_open"), F.col(now) * F.col("known_ms"))
    left = F.when(F.col("was_open"), F.col(before) * F.col("left_ms"))
    return F.coalesce(entered, F.lit(0)) + F.coalesce(left, F.lit(0))


def _given_docks() -> Column:
    """Open and known time in which docks are given, in ms."""
    entered = F.when(F.col("is_open") & F.col("docks_available").isNotNull(), F.col("known_ms"))
    left = F.when(F.col("was_open") & F.col("docks_before").isNotNull(), F.col("left_ms"))
    return F.coalesce(entered, F.lit(0)) + F.coalesce(left, F.lit(0))


def _held_bikes() -> tuple[Column, Column]:
    """The bikes that an event enters and those carried into the hour, each where they hold for known open time.

    What enters at a gap's begin is looked at apart: it holds only if the poll at the gap's end did not change it.
    """
    enters = F.col("is_open") & (F.col("known_ms") > 0) & (F.col("at_ms") != F.col("gap_from_ms"))
    carried = F.col("is_first") & F.col("was_open") & (F.col("left_ms") > 0)
    return F.when(enters, F.col("bikes_available")), F.when(carried, F.col("bikes_before"))


def _bikes_into_gap() -> Column:
    begins = F.col("is_open") & (F.col("known_ms") > 0) & (F.col("at_ms") == F.col("gap_from_ms"))
    return F.when(begins, F.col("bikes_available"))


def _place() -> Column:
    """Which of the hour's good polls the event comes from, from 1. Looked up where it is needed only: rarely."""
    return F.array_position("polls_ms", F.col("at_ms")).cast("int")


def _at_place(counts: str) -> Column:
    return F.get(counts, _place() - 1)


def _is_bulk() -> Column:
    """Whether the step is large and its poll interval short."""
    large = F.abs("step") >= BULK_STEP_BIKES
    return F.when(large, _at_place("steps_to") > _at_place("steps_before")).otherwise(False)


def _short_steps() -> Column:
    """Poll intervals of at most BULK_INTERVAL that end in the hour, both of whose polls show the station open."""
    first = F.when(F.col("was_open"), F.col("steps")).otherwise(F.col("steps") - F.get("steps_to", F.lit(0)))
    return (
        F.when(F.col("is_first"), F.when(F.col("is_open"), first))
        .when(F.col("is_open") & ~F.col("was_open"), F.col("steps") - _at_place("steps_to"))
        .when(~F.col("is_open") & F.col("was_open"), _at_place("steps_before") - F.col("steps"))
    )


def _polls_seen() -> Column:
    is_seen, was_seen = F.col("state") != State.UNKNOWN.value, F.col("state_before").isNotNull()
    from_here = F.col("polls") - _place() + 1
    return (
        F.when(F.col("is_first"), F.when(is_seen, F.col("polls")))
        .when(is_seen & ~was_seen, from_here)
        .when(~is_seen & was_seen, -from_here)
    )


_ZEROS = [*(f"{state}_ms" for state in _STATES), "departures", "arrivals", "bulk_out", "bulk_in", "short_steps",
          "times_empty", "times_full", "bike_ms", "dock_ms", "docks_given_ms", "polls"]  # fmt: skip


def _finished(rows: DataFrame) -> DataFrame:
    """From sums to the columns of the table."""
    known = sum((F.col(f"{state}_ms") for state in _STATES), F.lit(0))
    open_ms = sum((F.col(f"{state}_ms") for state in _STATES if state is not State.CLOSED), F.lit(0))
    into_gap = F.when(~F.col("is_changed_by_gap"), F.col("bikes_into_gap"))
    has_steps = F.col("short_steps") > 0
    hour_start = start_of("hour")
    return rows.withColumns({
        **{f"seconds_{state}": F.col(f"{state}_ms") / 1000 for state in _STATES},
        "seconds_unknown": (F.lit(HOUR_MS) - known) / 1000,
        "bikes_mean": F.when(open_ms > 0, F.col("bike_ms") / open_ms),
        "docks_mean": F.when(F.col("docks_given_ms") > 0, F.col("dock_ms") / F.col("docks_given_ms")),
        "bikes_min": F.least("bikes_min", into_gap),
        "bikes_max": F.greatest("bikes_max", into_gap),
        "bulk_out": F.when(has_steps, F.col("bulk_out")),
        "bulk_in": F.when(has_steps, F.col("bulk_in")),
        "hour_start": hour_start,
        "utc_date": F.date_from_unix_date(F.floor(F.col("hour") / 24).cast("int")),
    })  # fmt: skip
