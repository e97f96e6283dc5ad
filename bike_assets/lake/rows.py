"""Rows of a table read and replaced by this process, without Spark: where they are few, no job is as quick."""

from datetime import date
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, write_deltalake

from bike_assets.lake.tables import arrow_schema
from bike_assets.model.errors import LakeBroken
from bike_assets.model.schema import Table

Days = tuple[date, date]

COMMIT_ONLY = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)
"""Checkpoints are made in one place, `maintenance`, which knows what Spark needs to find beside them."""


def read_rows(delta: DeltaTable, table: Table, days: Days | None = None) -> pa.Table:
    """The rows of these days, both included, or all: of the version that `delta` was opened at.

    Columns that a file was written without are null. Raises LakeBroken naming the file that cannot be read.
    """
    schema = arrow_schema(table).remove_metadata()
    files = _files(delta, table, days)
    if not files:
        return schema.empty_table()
    by_day = ds.partitioning(pa.schema([schema.field(name) for name in table.partitioned_by]), flavor="hive")
    try:
        return ds.dataset(files, schema, "parquet", partitioning=by_day).to_table()
    except (pa.ArrowException, OSError) as err:
        raise LakeBroken(f"{table.name} cannot be read: {str(err).splitlines()[0]}") from None


def _files(delta: DeltaTable, table: Table, days: Days | None) -> list[str]:
    found = pa.table(delta.get_add_actions(flatten=True))
    # Both are written as in an URI, where a space is %20.
    home = unquote(delta.table_uri.removeprefix("file://")).rstrip("/")
    paths = [f"{home}/{unquote(path)}" for path in found["path"].to_pylist()]
    if days is None or not table.partitioned_by:
        return paths
    first, last = days
    dates = found[f"partition.{table.partitioned_by[0]}"].to_pylist()
    return [path for path, day in zip(paths, dates, strict=True) if day is not None and first <= day <= last]


def replace_rows(delta: DeltaTable, table: Table, rows: pa.Table, days: Days | None) -> None:
    """Put rows in the place of these days', or of the whole table, in one commit.

    Raises deltalake's CommitFailedError where another has written the same days, or with no days the table, since
    `delta` was opened.
    """
    day = table.partitioned_by[0] if table.partitioned_by else None
    where = f"{day} >= DATE '{days[0]}' AND {day} <= DATE '{days[1]}'" if day and days else None
    write_deltalake(
        delta,
        rows.cast(arrow_schema(table)),
        mode="overwrite",
        predicate=where,
        # Two that replace a whole table are no conflict to deltalake, which would keep the rows of both.
        commit_properties=None if where else CommitProperties(max_commit_retries=0),
        post_commithook_properties=COMMIT_ONLY,
    )
