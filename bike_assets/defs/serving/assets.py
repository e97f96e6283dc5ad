"""What people and other programs are served: the live page, and days as files."""

from datetime import date
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from bike_assets.defs.columns import OWNERS
from bike_assets.defs.links import links
from bike_assets.defs.partitions import DAYS, WITH_DAYS_AROUND, days_of, each_of
from bike_assets.defs.resources import Exports, Lake
from bike_assets.model.errors import BikeAssetsError, WrongDay
from bike_assets.model.topics import STATION_INFORMATION, STATION_STATE, SYSTEM_INFORMATION, VEHICLE_STATE
from bike_assets.model.warehouse import (
    DIM_STATION,
    DIM_SYSTEM,
    FACT_STATION_DAY,
    FACT_STATION_HOUR,
    FACT_SYSTEM_DAY,
    FACT_VEHICLE_SYSTEM_DAY,
    STATION_QUALITY,
    SYSTEM_SERVICE_DAY,
)

if TYPE_CHECKING:
    from bike_assets.exports.files import Exported

GROUP = "serving"
_SAME_DAY = dg.TimeWindowPartitionMapping()

page = dg.AssetSpec(
    key=["serving", "page"],
    deps=[
        ["topics", topic.name] for topic in (STATION_STATE, STATION_INFORMATION, SYSTEM_INFORMATION, VEHICLE_STATE)
    ],
    description="The live page: every station on a map by its state, what each system's vehicles come to, and each "
    "change as it comes. It is a service of its own, which `bike up` starts, and reads the topics; no table has to be "
    "built for it.",
    group_name=GROUP,
    kinds={"fastapi", "javascript"},
    owners=OWNERS,
    metadata=links(),
)


class ExportConfig(dg.Config):
    """Whose days are written."""

    system_ids: list[str] = Field(
        default_factory=list, description="Systems of the warehouse; all that have something where none is named."
    )


@dg.multi_asset(
    name="files",
    specs=[dg.AssetSpec(
        key=["serving", "files"],
        deps=[
            *(dg.AssetDep(list(table.path), partition_mapping=_SAME_DAY)
              for table in (FACT_STATION_DAY, FACT_SYSTEM_DAY, FACT_VEHICLE_SYSTEM_DAY, SYSTEM_SERVICE_DAY,
                            STATION_QUALITY)),
            dg.AssetDep(list(FACT_STATION_HOUR.path), partition_mapping=WITH_DAYS_AROUND),
            list(DIM_SYSTEM.path), list(DIM_STATION.path),
        ],
        description="A local day of each system as Parquet files, one a table, with the data dictionary beside them, "
        "in `exports/<system>/<day>` of the home. A second time gives the same, in the place of the first.",
        group_name=GROUP,
        kinds={"duckdb", "parquet"},
        owners=OWNERS,
        metadata=links(),
    )],
    partitions_def=DAYS,
    backfill_policy=dg.BackfillPolicy.single_run(),
)  # fmt: skip
def files(
    context: dg.AssetExecutionContext, config: ExportConfig, lake: Lake, exports: Exports
) -> dg.MaterializeResult[None]:
    """Each day of the run, of each system that has something in it."""
    days = days_of(context.run) or (lake.today(), lake.today())
    systems = _systems(lake, config.system_ids)
    written: list[Exported] = []
    nothing = 0
    for day in each_of(days):
        for system_id in systems:
            found = _export(lake, exports, system_id, day, must=bool(config.system_ids))
            nothing += not found
            written += found
    return dg.MaterializeResult(metadata={
        "dagster/row_count": sum(each.rows for each in written),
        "bytes": sum(each.bytes for each in written),
        "files": len(written),
        "systems": len(systems),
        "days_without_anything": nothing,
        "directory": dg.MetadataValue.path(exports.path),
    })  # fmt: skip


def _systems(lake: Lake, wanted: list[str]) -> list[str]:
    """The systems to write. Raises Failure naming those that there are."""
    with lake.duckdb(DIM_SYSTEM) as con:
        known = [name for (name,) in con.table(DIM_SYSTEM.name).select("system_id").order("system_id").fetchall()]
    for system_id in wanted:
        if system_id not in known:
            there = ", ".join(known) or "none yet; the job close_day makes them"
            raise dg.Failure(f"There is no system {system_id} in the warehouse, which has {there}.")
    return wanted or known


def _export(lake: Lake, exports: Exports, system_id: str, day: date, *, must: bool) -> "list[Exported]":
    """A system's day; nothing where it has none, unless it was named and must have. Raises Failure."""
    from bike_assets.exports.files import export_files

    target = exports.directory / system_id.replace(":", "_") / day.isoformat()
    try:
        return export_files(lake.directory, system_id, day.isoformat(), "parquet", target)
    except WrongDay as err:
        if must:
            raise dg.Failure(str(err)) from None
        return []
    except BikeAssetsError as err:
        raise dg.Failure(str(err)) from None
