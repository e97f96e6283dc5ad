"""The databases that the warehouse can be served from, by the names that the command line and the settings have."""

from pathlib import Path
from typing import TYPE_CHECKING

from bike_assets.model.errors import WrongSettings

if TYPE_CHECKING:
    import sqlalchemy as sa

    from bike_assets.exports.serve import Database

EXAMPLES = {
    "postgres": "postgresql://user:password@host:5432/bikes",
    "mysql": "mysql://user:password@host:3306/bikes",
    "mssql": "mssql://user:password@host:1433/bikes",
    "cassandra": "cassandra://user:password@host:9042/bikes",
    "duckdb": "serving/bikes.duckdb",
}
"""How each is named; the setting is `BIKE_<NAME>`."""

_SCHEMES = {"postgres": {"postgresql"}, "mysql": {"mysql", "mariadb"}, "mssql": {"mssql"},
            "cassandra": {"cassandra"}}  # fmt: skip


def database(name: str, address: str | None) -> "Database":
    """The database, which is not asked anything yet. Raises WrongSettings where its address is missing or none."""
    if address is None:
        raise WrongSettings(f"BIKE_{name.upper()} is not set: it is the database's address, such as {EXAMPLES[name]}.")
    match name:
        case "postgres":
            from bike_assets.exports.postgres import Postgres

            return Postgres(_url(name, address))
        case "mysql":
            from bike_assets.exports.mariadb import MariaDb

            return MariaDb(_url(name, address))
        case "mssql":
            from bike_assets.exports.mssql import SqlServer

            return SqlServer(_url(name, address))
        case "cassandra":
            from bike_assets.exports.cassandra import Cassandra

            return Cassandra(_url(name, address))
        case _:
            from bike_assets.exports.duck_file import DuckFile

            return DuckFile(Path(address))


def _url(name: str, address: str) -> "sa.URL":
    import sqlalchemy as sa

    try:
        url = sa.make_url(address)
    except (sa.exc.ArgumentError, ValueError):  # neither is repeated: a password may stand in it
        url = None
    if url is None or not url.database or url.drivername.partition("+")[0] not in _SCHEMES[name]:
        raise WrongSettings(f"BIKE_{name.upper()} is no address of such a database: give one like {EXAMPLES[name]}.")
    return url
