"""What a materialisation shows of a table: its size, and its newest rows."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg

from bike_assets.defs.partitions import days_of, each_of
from bike_assets.defs.resources import Lake
from bike_assets.model.schema import Table

if TYPE_CHECKING:
    import duckdb

ROWS = 5


def shown(
    con: "duckdb.DuckDBPyConnection", lake: Lake, table: Table, days: tuple[date, date] | None
) -> dict[str, Any]:
    """`bytes` of these days, or of the whole table, and a `preview` of the newest rows where there are any."""
    size = lake.tables.bytes_by_day(table)
    there = size if days is None or not table.partitioned_by else {*each_of(days)} & size.keys()
    return {"bytes": sum(size[day] for day in there), **_preview(con, table, days)}


def tell_days(
    context: dg.AssetExecutionContext, con: "duckdb.DuckDBPyConnection", lake: Lake, table: Table
) -> None:
    """Add to each day of the run what `shown_by_day` says of it."""
    days = days_of(context.run)
    if days is None:
        return
    for day, told in shown_by_day(con, lake, table, days):
        context.add_asset_metadata(told, dg.AssetKey(list(table.path)), day.isoformat())


def shown_by_day(
    con: "duckdb.DuckDBPyConnection", lake: Lake, table: Table, days: tuple[date, date]
) -> Iterator[tuple[date, dict[str, Any]]]:
    """Each day's own rows and `bytes`, and with the last one the `preview`.

    What is said of all days is written once for each: a year's previews would take longer than to look at its tables.
    """
    rows, size = lake.tables.rows_by_day(table), lake.tables.bytes_by_day(table)
    for day in each_of(days):
        of_day = {"dagster/partition_row_count": rows.get(day, 0), "bytes": size.get(day, 0)}
        yield day, {**of_day, **(_preview(con, table, days) if day == days[1] else {})}


def _preview(
    con: "duckdb.DuckDBPyConnection", table: Table, days: tuple[date, date] | None
) -> dict[str, dg.TableMetadataValue]:
    from bike_assets.quality.newest import newest_rows

    if table.is_personal:
        return {}
    first, last = days or (None, None)
    rows = newest_rows(con, table, first, last, ROWS)
    names = [column.name for column in table.columns]
    records = [dg.TableRecord({name: _plain(value) for name, value in zip(names, row, strict=True)}) for row in rows]
    return {"preview": dg.MetadataValue.table(records, _schema(table))} if records else {}


def lag_s(con: "duckdb.DuckDBPyConnection", table: Table, days: tuple[date, date]) -> dict[str, float]:
    """How old the newest of these days' rows is; nothing without a row."""
    from bike_assets.quality.newest import newest_instant

    newest = newest_instant(con, table, *days)
    return {"lag_s": round((datetime.now(UTC) - newest).total_seconds(), 1)} if newest else {}


def by_reason(con: "duckdb.DuckDBPyConnection", days: tuple[date, date]) -> dict[str, Any]:
    """How many rows these days refused, by system, feed and reason; nothing where none was."""
    from bike_assets.lake.rejections import MOST
    from bike_assets.lake.rejections import by_reason as counted

    first, last = (datetime.combine(day, time(), UTC) for day in days)
    groups = counted(con, since=first, until=last + timedelta(days=1))[:MOST]
    names = ("system_id", "feed", "reason", "rows")
    records = [dg.TableRecord({name: each[name] for name in names}) for each in groups]
    return {"by_reason": dg.MetadataValue.table(records)} if records else {}


def _plain(value: Any) -> str | int | float | bool | None:
    return value if value is None or isinstance(value, str | bool | int | float) else str(value)


def _schema(table: Table) -> dg.TableSchema:
    return dg.TableSchema([dg.TableColumn(column.name, column.type) for column in table.columns])
