"""Whether what feeds answer now is what they answered in the lake's last week: for `bike sources check`."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from bike_assets.model.drift import REFERENCE
from bike_assets.model.messages import FeedField
from bike_assets.model.tables import EVENTS_FEED_FIELDS

if TYPE_CHECKING:
    import duckdb

_NAMES = FeedField.__struct_fields__


def drifts(lake: Path, told: Sequence[FeedField]) -> dict[str, list[str]]:
    """By system, in sentences, what is otherwise in bodies with these fields than before; nothing is written.

    What counts is said by `quality.drift`, for which these are one body more of each feed.
    Raises LakeBroken where the table cannot be read.
    """
    import duckdb

    from bike_assets.lake.duck import broken_table, connect

    if not told:
        return {}
    con = connect(lake, (EVENTS_FEED_FIELDS,))
    try:
        rows = _drifted(con, told)
    except duckdb.Error as err:
        raise broken_table(lake, err) or err from None
    finally:
        con.close()
    asked_at = {(each.system_id, each.feed): each.fetched_at for each in told}
    sentences = defaultdict(list)
    for row in rows:
        if row["last_at"] == asked_at.get((row["system_id"], row["feed"])):
            sentences[row["system_id"]].append(
                f"{row['feed']} drifts: {row['path']} was {row['before']} until {row['before_at']:%Y-%m-%d %H:%M} UTC, "
                f"and is {row['now']} since {row['first_at']:%Y-%m-%d %H:%M} UTC"
            )
    return dict(sentences)


def _drifted(con: "duckdb.DuckDBPyConnection", told: Sequence[FeedField]) -> list[dict[str, Any]]:
    import pyarrow as pa

    from bike_assets.lake.tables import arrow_schema
    from bike_assets.quality.drift import feeds_do_not_drift

    schema = pa.schema([arrow_schema(EVENTS_FEED_FIELDS).field(name) for name in _NAMES])
    con.register("told", pa.Table.from_pylist([msgspec.structs.asdict(each) for each in told], schema))
    since = min(each.fetched_at for each in told) - 2 * REFERENCE
    # The check names its tables, and finds those of the database in use.
    con.execute("ATTACH ':memory:' AS with_told; CREATE SCHEMA with_told.events")
    con.execute(
        f"""
        CREATE TABLE with_told.events.feed_fields AS
        SELECT {', '.join(_NAMES)} FROM {EVENTS_FEED_FIELDS.name}
        WHERE utc_date >= $1 AND system_id IN (SELECT system_id FROM told) UNION ALL FROM told
        """,
        [since.date()],
    )
    con.execute("CREATE TABLE with_told.events.polls (system_id VARCHAR, feed VARCHAR, fetched_at TIMESTAMPTZ)")
    con.execute("USE with_told")
    found = con.sql(feeds_do_not_drift(con).query)
    return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]
