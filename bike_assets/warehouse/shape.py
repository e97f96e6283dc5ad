"""What every module of the warehouse needs: a table's columns, and UTC hours as numbers."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from bike_assets.lake.spark import spark_schema
from bike_assets.model.schema import Table

HOUR_S = 3_600
HOUR_MS = HOUR_S * 1_000
DAY_S = 24 * HOUR_S


def shaped(rows: DataFrame, table: Table) -> DataFrame:
    """The columns of the table, in its order and of its types."""
    return rows.select(*(F.col(field.name).cast(field.dataType) for field in spark_schema(table.columns)))


def milliseconds(instant: str) -> Column:
    """The column's instant in ms since 1970, a bigint."""
    return F.unix_millis(instant)


def hour_of(ms: Column) -> Column:
    """The UTC hour of an instant in ms, counted from 1970: a bigint. Instants lie after 1970."""
    return (ms / HOUR_MS).cast("bigint")


def start_of(hour: str) -> Column:
    """The first instant of a UTC hour that is counted from 1970."""
    return F.timestamp_seconds(F.col(hour) * HOUR_S)


def local_seconds(utc: Column, zone: Column) -> Column:
    """The local clock at an instant: s since 1970 as if it were UTC, so that no session's zone matters."""
    return F.unix_seconds(F.from_utc_timestamp(utc, zone))


def local_date(seconds: Column) -> Column:
    """The date of a local clock."""
    return F.date_from_unix_date(F.floor(seconds / DAY_S).cast("int"))


def midnight_s(local_date: str, zone: str, days_later: int = 0) -> Column:
    """The first instant of the date, or of one so many days later, in the zone: s since 1970."""
    clock = F.timestamp_seconds((F.unix_date(local_date) + days_later) * DAY_S)
    return F.unix_seconds(F.to_utc_timestamp(clock, F.col(zone)))


def local_hour(seconds: Column) -> Column:
    """The hour of a local clock, 0 to 23."""
    return F.floor(F.pmod(seconds, F.lit(DAY_S)) / HOUR_S).cast("int")
