"""Rows of a table read and written by this process, without Spark: where they are few, no job is as quick."""

import sys
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from functools import reduce
from operator import or_
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Transaction, write_deltalake

from bike_assets.lake.tables import arrow_schema, checkpoint, directory_of
from bike_assets.model.errors import LakeBroken
from bike_assets.model.schema import Table

Days = tuple[date, date]
Span = tuple[datetime, datetime]
"""A stretch of time, its end not included."""

COMMIT_ONLY = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)
"""Checkpoints are made by `checkpoint` alone, which knows what Spark must not find beside them."""


def read_rows(delta: DeltaTable, table: Table, days: Days | None = None) -> pa.Table:
    """The rows of these days, both included, or all: of the version that `delta` was opened at.

    Columns that a file was written without are null. Raises LakeBroken naming the file that cannot be read.
    """
    files = _files(delta)
    if days is not None and table.partitioned_by:
        day, (first, last) = files[f"partition.{table.partitioned_by[0]}"], days
        files = files.filter(pc.and_(pc.greater_equal(day, first), pc.less_equal(day, last)))
    return _read(delta, table, files)


def read_spans(delta: DeltaTable, table: Table, instant: str, spans: Sequence[Span], at_most: int) -> pa.Table | None:
    """The rows whose `instant` lies in one of the spans; None where the files that may hold them have more than
    `at_most` rows. By what the log says of them, no other file is opened. Raises as `read_rows`.
    """
    files = _near(delta, instant, spans)
    if _rows(files) > at_most:
        return None
    within = [(ds.field(instant) >= begin) & (ds.field(instant) < end) for begin, end in spans]
    return _read(delta, table, files).filter(reduce(or_, within))


def rows_near(delta: DeltaTable, instant: str, spans: Sequence[Span]) -> int:
    """How many rows the files have that may hold some of the spans: so many are rewritten to replace these."""
    return _rows(_near(delta, instant, spans))


def _near(delta: DeltaTable, instant: str, spans: Sequence[Span]) -> pa.Table:
    files = _files(delta)
    if not files.num_rows:
        return files
    low, high = files[f"min.{instant}"], files[f"max.{instant}"]
    near = [pc.and_(pc.less(low, end), pc.greater_equal(high, begin)) for begin, end in spans]
    # One without statistics may hold anything.
    return files.filter(pc.fill_null(reduce(pc.or_, near), True))


def _rows(files: pa.Table) -> int:
    """The sum of what the log says; without end where it does not say it of a file."""
    counts = files["num_records"].to_pylist()
    return sys.maxsize if None in counts else sum(counts)


def _files(delta: DeltaTable) -> pa.Table:
    """What the log says of each file."""
    return pa.table(delta.get_add_actions(flatten=True))


def read_files(delta: DeltaTable, table: Table, paths: Sequence[str]) -> pa.Table:
    """The rows of these files, as the log names them. Raises as `read_rows`."""
    return _read(delta, table, pa.table({"path": pa.array(paths, pa.string())}))


def _read(delta: DeltaTable, table: Table, files: pa.Table) -> pa.Table:
    schema = arrow_schema(table).remove_metadata()
    home = directory_of(delta)
    paths = [str(home / unquote(path)) for path in files["path"].to_pylist()]  # written as in an URI too
    if not paths:
        return schema.empty_table()
    by_day = ds.partitioning(pa.schema([schema.field(name) for name in table.partitioned_by]), flavor="hive")
    try:
        return ds.dataset(paths, schema, "parquet", partitioning=by_day).to_table()
    except (pa.ArrowException, OSError) as err:
        raise LakeBroken(f"{table.name} cannot be read: {str(err).splitlines()[0]}") from None


def _shaped(rows: pa.Table, table: Table) -> pa.Table:
    """The rows of the table's types, without its descriptions: Delta refuses rows that come with other words than those
    that the table was made with, as after an upgrade.
    """
    return rows.cast(pa.schema([field.remove_metadata() for field in arrow_schema(table)]))


def append_rows(delta: DeltaTable, table: Table, rows: pa.Table, application: str, version: int) -> None:
    """Append rows in one commit that says up to which of its versions the application has written.

    Nothing is done where the table has that version already. It is Spark's `txnAppId` and `txnVersion`, and each sees
    what the other wrote: the Delta protocol's transaction identifiers.
    """
    done = delta.transaction_version(application)
    if done is not None and done >= version:
        return
    write_deltalake(
        delta,
        _shaped(rows, table),
        mode="append",
        commit_properties=CommitProperties(app_transactions=[Transaction(application, version)]),
        post_commithook_properties=COMMIT_ONLY,
    )
    checkpoint(delta, table)


def replace_rows(delta: DeltaTable, table: Table, rows: pa.Table, days: Days | None) -> None:
    """Put rows in the place of these days', or of the whole table, in one commit.

    Raises deltalake's CommitFailedError where another has written the same days, or with no days the table, since
    `delta` was opened.
    """
    day = table.partitioned_by[0] if table.partitioned_by else None
    where = f"{day} >= DATE '{days[0]}' AND {day} <= DATE '{days[1]}'" if day and days else None
    # Two that replace a whole table are no conflict to deltalake, which would keep the rows of both.
    _replace(delta, table, rows, where, None if where else CommitProperties(max_commit_retries=0))
    checkpoint(delta, table)


def replace_spans(delta: DeltaTable, table: Table, rows: pa.Table, instant: str, spans: Sequence[Span]) -> None:
    """Put rows in the place of those whose `instant` lies in one of the spans, in one commit.

    Raises deltalake's CommitFailedError where another has written since `delta` was opened.
    """
    where = " OR ".join(
        f"({instant} >= '{begin.isoformat()}' AND {instant} < '{end.isoformat()}')"  # TIMESTAMP '...' would be in ns
        for begin, end in spans
    )
    _replace(delta, table, rows, where, None)
    checkpoint(delta, table)


def replace_all(delta: DeltaTable, table: Table, rows: pa.Table, made_of: Mapping[str, int]) -> None:
    """Put rows in the place of the whole table, in one commit that says from which version of what they were made.

    Raises deltalake's CommitFailedError where another has written since `delta` was opened.
    """
    transactions = [Transaction(name, version) for name, version in made_of.items()]
    _replace(delta, table, rows, None, CommitProperties(app_transactions=transactions, max_commit_retries=0))
    checkpoint(delta, table)


def replace_days(
    delta: DeltaTable, table: Table, rows: pa.Table, days: Sequence[date], application: str, version: int
) -> None:
    """Put rows in the place of these days', in one commit that counts as this version of an application.

    Raises deltalake's CommitFailedError where another has written since `delta` was opened.
    """
    where = f"{table.partitioned_by[0]} IN ({', '.join(f'DATE {day.isoformat()!r}' for day in days)})"
    noted = CommitProperties(app_transactions=[Transaction(application, version)], max_commit_retries=0)
    _replace(delta, table, rows, where, noted)
    checkpoint(delta, table)


def _replace(
    delta: DeltaTable, table: Table, rows: pa.Table, where: str | None, properties: CommitProperties | None
) -> None:
    write_deltalake(
        delta, _shaped(rows, table), mode="overwrite", predicate=where, commit_properties=properties,
        post_commithook_properties=COMMIT_ONLY,
    )  # fmt: skip
