"""The tables of the warehouse: a star schema, one day at a time."""

from bike_assets.model.messages import Outcome
from bike_assets.model.schema import Column, Table

_SYSTEM = Column("system_id", "string", "the system")
_STATION = Column("station_id", "string", "the station, in its producer's words")
_LOCAL_DATE = Column("local_date", "date", "date in the system's time zone")
_STATION_KEY = Column("station_key", "bigint", "the station's description in `dim_station`")

_FLOWS = (
    Column("departures", "int", "bikes gone between good polls that show the station open; a lower bound", low=0),
    Column("arrivals", "int", "bikes come between good polls that show the station open; a lower bound", low=0),
    Column("bulk_out", "int", "of the departures, those in one step of 5 bikes or more between polls at most 10 "
           "minutes apart; null where no polls were so close", nullable=True, low=0),
    Column("bulk_in", "int", "of the arrivals, those in one step of 5 bikes or more between polls at most 10 "
           "minutes apart; null where no polls were so close", nullable=True, low=0),
)  # fmt: skip
_ENTRIES = (
    Column("times_empty", "int", "how often it became empty", low=0),
    Column("times_full", "int", "how often it became full", low=0),
)
_LEVELS = (
    Column("bikes_mean", "double", "bikes, over open and known time; null without such time", nullable=True, low=0),
    Column("bikes_min", "int", "fewest bikes in open and known time", nullable=True, low=0),
    Column("bikes_max", "int", "most bikes in open and known time", nullable=True, low=0),
    Column("docks_mean", "double", "free docks, over open and known time; null where not given", nullable=True,
           low=0),
)  # fmt: skip
_POLLS = Column("polls", "int", "good polls that show the station", low=0)
_PEAK_HOUR = Column("peak_hour", "int", "local hour with most departures and arrivals together, the earliest of "
                    "equals; null without any", nullable=True, low=0, high=23)  # fmt: skip
_IS_COMPLETE = Column("is_complete", "boolean", "whether all its 23, 24 or 25 hours are in the table, known or not; "
                      "warehouse.system_service_day tells whether the day is over")  # fmt: skip


def _seconds(most: float | None) -> tuple[Column, ...]:
    """The five states' columns, where a row of one station has at most so many seconds."""
    meanings = {
        "empty": "s, open without a bike",
        "full": "s, open with bikes and without a dock",
        "available": "s, open with bikes, and docks where they are given",
        "closed": "s, not open",
        "unknown": "s, of which no poll tells: gaps over 30 minutes, absences, before the first and after the last",
    }
    return tuple(
        Column(f"seconds_{state}", "double", meaning, low=0, high=most) for state, meaning in meanings.items()
    )


DIM_SYSTEM = Table(
    name="warehouse.dim_system",
    description="A system.",
    grain=("system_id",),
    columns=(
        _SYSTEM,
        Column("name", "string", "what the public calls it", nullable=True),
        Column("operator", "string", "who runs it", nullable=True),
        Column("city", "string", "where it stands", nullable=True),
        Column("country", "string", "ISO 3166-1 alpha-2", nullable=True),
        Column("timezone", "string", "IANA name; UTC where nobody says"),
        Column("kind", "string", "gbfs or jcdecaux", nullable=True),
    ),
)

DIM_STATION = Table(
    name="warehouse.dim_station",
    description="A station while its description held: a new row when its name, its capacity or its place changes.",
    grain=("station_key",),
    columns=(
        Column("station_key", "bigint", "hash of system, station and valid_from"),
        _SYSTEM,
        _STATION,
        Column("name", "string", "what the public calls it", nullable=True),
        Column("address", "string", "the last that was given", nullable=True),
        Column("lat", "double", "degrees, WGS 84", nullable=True, low=-90, high=90),
        Column("lon", "double", "degrees, WGS 84", nullable=True, low=-180, high=180),
        Column("capacity", "int", "docks, those in use and broken included", nullable=True, low=0),
        Column("has_payment_terminal", "boolean", "JCDecaux's `banking`", nullable=True),
        Column("valid_from", "timestamp", "from when it held, itself included; 1970 for the first"),
        Column("valid_to", "timestamp", "until when it held, itself excluded; null while it holds", nullable=True),
        Column("is_current", "boolean", "whether it holds now"),
        Column("is_inferred", "boolean", "whether only the station's status was seen, never its description"),
    ),
)

DIM_DATE = Table(
    name="warehouse.dim_date",
    description="A date.",
    grain=("date",),
    columns=(
        Column("date", "date", "the date"),
        Column("year", "int", "calendar year"),
        Column("quarter", "int", "of the year", low=1, high=4),
        Column("month", "int", "of the year", low=1, high=12),
        Column("week", "int", "of the year by ISO 8601", low=1, high=53),
        Column("weekday", "int", "by ISO 8601: 1 is Monday, 7 is Sunday", low=1, high=7),
        Column("is_weekend", "boolean", "Saturday or Sunday"),
    ),
)

FACT_STATION_HOUR = Table(
    name="warehouse.fact_station_hour",
    description="A station in a UTC hour, where it has an accepted reading in that hour or the 24 h before it.",
    grain=("system_id", "station_id", "hour_start"),
    columns=(
        _SYSTEM,
        _STATION,
        Column("hour_start", "timestamp", "start of the UTC hour"),
        _STATION_KEY,
        Column("utc_date", "date", "UTC date of hour_start"),
        _LOCAL_DATE,
        Column("local_hour", "int", "hour of hour_start in the system's time zone", low=0, high=23),
        *_FLOWS,
        *_seconds(3600),
        *_ENTRIES,
        *_LEVELS,
        _POLLS,
    ),
    partitioned_by=("utc_date",),
)

FACT_STATION_DAY = Table(
    name="warehouse.fact_station_day",
    description="A station in a local day: the sum of its hours; levels weighted by open and known time.",
    grain=("system_id", "station_id", "local_date"),
    columns=(_SYSTEM, _STATION, _LOCAL_DATE, _STATION_KEY, *_FLOWS, *_seconds(90_000), *_ENTRIES, *_LEVELS,
             _POLLS, _PEAK_HOUR, _IS_COMPLETE),
    partitioned_by=("local_date",),
)  # fmt: skip

FACT_SYSTEM_DAY = Table(
    name="warehouse.fact_system_day",
    description="A system in a local day: the sum of its stations' hours; levels are those of a station.",
    grain=("system_id", "local_date"),
    columns=(
        _SYSTEM,
        _LOCAL_DATE,
        Column("stations", "int", "stations with a row in the day", low=0),
        *_FLOWS, *_seconds(None), *_ENTRIES, *_LEVELS, _POLLS, _PEAK_HOUR, _IS_COMPLETE,
    ),
    partitioned_by=("local_date",),
)  # fmt: skip

SYSTEM_SERVICE_DAY = Table(
    name="warehouse.system_service_day",
    description="A system's local day: how well it was seen; a row where `station_status` was fetched in it, or in the "
    "7 days (of 24 h) before it began: then nobody asked all day, and it was seen in nothing of it.",
    grain=("system_id", "local_date"),
    columns=(
        _SYSTEM,
        _LOCAL_DATE,
        Column("good_share", "double", "of the day, between two good polls at most 30 minutes apart", low=0, high=1),
        Column("longest_gap_s", "double", "s, longest stretch of the day without a good poll", low=0, high=90_000),
        Column("polls", "int", "fetches of station_status", low=0),
        *(Column(f"polls_{each.value}", "int", f"of them, those with the outcome {each.value}", low=0)
          for each in Outcome),
        Column("is_complete", "boolean", "whether any system was polled after the day's end"),
    ),
    partitioned_by=("local_date",),
)  # fmt: skip

FACT_VEHICLE_SYSTEM_DAY = Table(
    name="warehouse.fact_vehicle_system_day",
    description="A system's vehicles in a local day; a row where a good poll of them lies in it. Hours are summed over "
    "vehicles, and over known time alone: between two good polls at most 30 minutes apart.",
    grain=("system_id", "local_date"),
    columns=(
        _SYSTEM,
        _LOCAL_DATE,
        Column("ids_seen", "int", "different ids that a good poll of the day listed: ids rotate after each trip, so it "
               "is no number of vehicles, and no sum of days is one", low=0),
        Column("vehicles_mean", "double", "vehicles that stood there, over known time; null without such time",
               nullable=True, low=0),
        Column("vehicles_max", "int", "most vehicles that a good poll listed", low=0),
        Column("abandoned_max", "int", "most vehicles of a good poll that had not moved for 24 hours", low=0),
        Column("idle_hours", "double", "h that vehicles stood available", low=0),
        Column("reserved_hours", "double", "h that vehicles stood reserved", low=0),
        Column("disabled_hours", "double", "h that vehicles stood out of order", low=0),
        Column("known_hours", "double", "h of the day that are known", low=0, high=25),
        Column("polls", "int", "good polls of vehicles", low=1),
        Column("is_complete", "boolean", "whether any system's vehicles were polled after the day's end"),
    ),
    partitioned_by=("local_date",),
    may_be_empty=True,
)  # fmt: skip

STATION_QUALITY = Table(
    name="warehouse.station_quality",
    description="A station and local day with a finding: its numbers should be read with care.",
    grain=("system_id", "station_id", "local_date", "reason"),
    columns=(
        _SYSTEM,
        _STATION,
        _LOCAL_DATE,
        Column("reason", "string", "stuck, impossible_count, jumped, stale_report or test_station"),
        Column("evidence", "string", "what was seen, in a sentence"),
    ),
    partitioned_by=("local_date",),
    may_be_empty=True,
)

DIM_CUSTOMER = Table(
    name="warehouse.dim_customer",
    description="A customer of the orders while the list of customers said the same of them (SCD 2).",
    grain=("customer_id", "valid_from"),
    columns=(
        Column("customer_id", "string", "who ordered, as the shops name them"),
        Column("valid_from", "timestamp", "from when on it was so; 1970 in the first version"),
        Column("state", "string", "where they live"),
        Column("details", "string", "the list's other columns, as a JSON object", nullable=True),
        Column("valid_to", "timestamp", "until when; null while it is so", nullable=True),
        Column("is_current", "boolean", "whether it is so now"),
    ),
    may_be_empty=True,
)

WAREHOUSE_TABLES = (
    DIM_SYSTEM,
    DIM_STATION,
    DIM_DATE,
    FACT_STATION_HOUR,
    FACT_STATION_DAY,
    FACT_SYSTEM_DAY,
    SYSTEM_SERVICE_DAY,
    FACT_VEHICLE_SYSTEM_DAY,
    STATION_QUALITY,
)
