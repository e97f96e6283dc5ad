"""The data dictionary: what every table and column means, as Markdown, from the model itself."""

import sys
from collections.abc import Iterable, Iterator, Sequence

from bike_assets.model.constants import ABSENCE_MEMORY, MAX_GAP
from bike_assets.model.readings import State
from bike_assets.model.schema import Column, Table
from bike_assets.model.tables import EVENTS_STATION_STATUS, EVENTS_VEHICLE_STATUS, TABLES

_GAP = f"{MAX_GAP.total_seconds() / 60:.0f} minutes"
_MEMORY = f"{ABSENCE_MEMORY.total_seconds() / 3600:.0f} hours"

_HOW_TO_READ = f"""\
- **Instants** (type `timestamp`: `*_at`, `hour_start`, `minute`, `valid_from`, `valid_to`) are UTC, to the millisecond.
- **Dates and hours**: `utc_date` is a date in UTC; `local_date`, `local_hour` and `peak_hour` are in the system's time
  zone, which `warehouse.dim_system` names. A local day has 23, 24 or 25 hours.
- **`seconds_*`** are durations in seconds. The five of a station-hour add up to 3,600.
- **`*_id`** are the producer's names, text, whatever they look like. **`*_key`** are ours: use them to join, never to
  show.
- **`is_*`** and **`has_*`** are true or false. **`*_before`** is the last accepted reading, null after an absence.
- **Null** means "not given" or "not known", never 0. A column that may hold it says so.
- **Range** gives the least and the greatest value, both included.
- A **good poll** is a fetch of `station_status`, or of vehicles one of `vehicle_status`, with the outcome `ok` or
  `not_modified`. What it shows holds to the system's next good poll; if that is more than {_GAP} away, the whole time
  between is unknown.
- **Departures and arrivals** are lower bounds: a return and a rental between two polls cancel out. `polls` tells how
  often somebody looked.
- A table that is **partitioned** by a date keeps each date's rows apart: a question that names dates reads only these.
"""

_STATES = {
    State.UNKNOWN: f"nobody was looking, for more than {_GAP}, or the station was not in its feed (that is told for "
    f"{_MEMORY})",
    State.CLOSED: "not open: it is not installed, not renting or not returning (JCDecaux: not `OPEN`)",
    State.EMPTY: "open, without a bike to take",
    State.FULL: "open, with bikes, and without a dock to return to; never where docks are not given",
    State.AVAILABLE: "open, with bikes, and with docks where they are given",
}

_VIEWS = {
    EVENTS_STATION_STATUS.name: "`live.station_status` is a view of it in `bike sql`: the latest event of each "
    f"station, its state `unknown` once the system's last good poll is more than {_GAP} ago.",
    EVENTS_VEHICLE_STATUS.name: "`live.vehicle_status` is a view of it in `bike sql`: the vehicles of each system's "
    "last good poll of them, with `last_good_poll_at`, `stands_hours` (h, not moved until then) and `is_abandoned` "
    "(24 h or more). Ids rotate: an id is one vehicle until its next trip, and nothing joins it to the id after that.",
}


def dictionary(tables: Sequence[Table]) -> str:
    """Markdown of these tables: how to read them, the states, and each table with its grain and columns."""
    parts = [
        "# Data dictionary",
        "How to read the tables:",
        _HOW_TO_READ.rstrip(),
        "## States",
        "A station's state at an instant is the first of these that applies:",
        "\n".join(_grid(("state", "meaning"), ((f"`{state}`", meaning) for state, meaning in _STATES.items()))),
        "## Tables",
        "\n".join(_grid(("table", "one row is"), ((f"`{table.name}`", table.description) for table in tables))),
        *(part for table in tables for part in _table(table)),
    ]
    return "\n\n".join(parts) + "\n"


def _table(table: Table) -> Iterator[str]:
    yield f"### {table.name}"
    yield table.description
    if table.name in _VIEWS:
        yield _VIEWS[table.name]
    yield "One row per " + ", ".join(f"`{name}`" for name in table.grain) + "." + _partition(table)
    yield "\n".join(_grid(("column", "type", "null", "range", "meaning"), map(_row, table.columns)))


def _partition(table: Table) -> str:
    return f" Partitioned by `{table.partitioned_by[0]}`." if table.partitioned_by else ""


def _row(column: Column) -> tuple[str, ...]:
    return (
        f"`{column.name}`",
        column.type,
        "may be" if column.nullable else "",
        _range(column),
        column.description,
    )


def _range(column: Column) -> str:
    if column.low is None and column.high is None:
        return ""
    if column.high is None:
        return f"from {column.low:,.10g}"
    if column.low is None:
        return f"to {column.high:,.10g}"
    return f"{column.low:,.10g} to {column.high:,.10g}"


def _grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for row in (head, ["---"] * len(head), *rows):
        yield "| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |"


if __name__ == "__main__":
    sys.stdout.write(dictionary(TABLES))
