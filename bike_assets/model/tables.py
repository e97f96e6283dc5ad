"""The tables of the lake, each written down once: those of the stream here, the warehouse's in `warehouse`.

The `events.*` tables are their messages with three columns more.
"""

from msgspec import Struct

from bike_assets.model import messages
from bike_assets.model.schema import Column, Table, columns_of
from bike_assets.model.warehouse import DIM_CUSTOMER, WAREHOUSE_TABLES


def _events(
    name: str, message: type[Struct], grain: tuple[str, ...], *, may_be_empty: bool = False,
    dated_by: str | None = None, is_personal: bool = False,
) -> Table:
    """`dated_by`: the instant whose UTC date is the partition; the one that ends the grain where none is named."""
    own = columns_of(message)
    instant = dated_by or next(name for name in reversed(grain) if name.endswith("_at"))
    return Table(
        name=f"events.{name}",
        description=" ".join((message.__doc__ or "").split()),
        grain=grain,
        columns=(
            *(next(column for column in own if column.name == key) for key in grain),
            *(column for column in own if column.name not in grain),
            Column("utc_date", "date", f"UTC date of {instant}"),
            Column("kafka_partition", "int", "where the message stood in its topic", nullable=True),
            Column("kafka_offset", "bigint", "where the message stood in its partition", nullable=True),
        ),
        partitioned_by=("utc_date",),
        may_be_empty=may_be_empty,
        dated_by=instant,
        is_personal=is_personal,
    )


EVENTS_STATION_STATUS = _events(
    "station_status", messages.StationStatus, ("system_id", "station_id", "observed_at")
)
EVENTS_STATION_INFORMATION = _events(
    "station_information", messages.StationInformation, ("system_id", "station_id", "observed_at")
)
EVENTS_SYSTEM_INFORMATION = _events(
    "system_information", messages.SystemInformation, ("system_id", "observed_at")
)
EVENTS_VEHICLE_STATUS = _events(
    "vehicle_status", messages.VehicleStatus, ("system_id", "vehicle_id", "observed_at"), may_be_empty=True
)
EVENTS_VEHICLE_TOTALS = _events(
    "vehicle_totals", messages.VehicleTotals, ("system_id", "observed_at"), may_be_empty=True
)
EVENTS_POLLS = _events("polls", messages.Poll, ("system_id", "feed", "fetched_at"))
EVENTS_REJECTIONS = _events(
    "rejections", messages.Rejection, ("system_id", "feed", "fetched_at", "row_index"), may_be_empty=True
)
EVENTS_FEED_FIELDS = _events("feed_fields", messages.FeedField, ("system_id", "feed", "fetched_at", "path"))
EVENTS_ORDERS = _events(
    "orders", messages.Order, ("order_id", "version"), may_be_empty=True, dated_by="created_at"
)
EVENTS_USERS = _events("users", messages.User, ("member_id",), may_be_empty=True, dated_by="taken_at", is_personal=True)

LIVE_SYSTEM_MINUTE = Table(
    name="live.system_minute",
    description="A system in a UTC minute: levels at its last good poll, flows summed; no good poll, no row.",
    grain=("system_id", "minute"),
    columns=(
        Column("system_id", "string", "the system"),
        Column("minute", "timestamp", "start of the UTC minute"),
        Column("stations", "int", "stations with an accepted reading", low=0),
        Column("empty", "int", "of them open, without a bike", low=0),
        Column("full", "int", "of them open, with bikes and without a dock", low=0),
        Column("closed", "int", "of them not open", low=0),
        Column("bikes_available", "int", "over open stations", low=0),
        Column("docks_available", "int", "over open stations that give docks", nullable=True, low=0),
        Column("ebikes_available", "int", "over open stations that give them", nullable=True, low=0),
        Column("saturation", "double", "bikes / (bikes + docks) over open stations that give docks",
               nullable=True, low=0, high=1),
        Column("departures", "int", "bikes gone between good polls that ended in this minute", low=0),
        Column("arrivals", "int", "bikes come between good polls that ended in this minute", low=0),
    ),
    log_retention_days=1,
)

LIVE_VEHICLES_SYSTEM_MINUTE = Table(
    name="live.vehicles_system_minute",
    description="A system's vehicles in a UTC minute: levels at its last good poll of them; no good poll, no row.",
    grain=("system_id", "minute"),
    columns=(
        Column("system_id", "string", "the system"),
        Column("minute", "timestamp", "start of the UTC minute"),
        *(column for column in columns_of(messages.VehicleTotals) if column.name not in ("system_id", "observed_at")),
    ),
    log_retention_days=1,
    may_be_empty=True,
)

LIVE_ORDERS_BY_SOURCE_STATE = Table(
    name="live.orders_by_source_state",
    description="Sales by where they came from and where the customer lives: each order by its latest version.",
    grain=("source", "state"),
    columns=(
        Column("source", "string", "the shop or app that they came from"),
        Column("state", "string", "the customer's; unknown where warehouse.dim_customer has none"),
        Column("orders", "bigint", "orders, each counted once", low=0),
        Column("quantity", "bigint", "pieces", low=0),
        Column("total", "decimal(28,2)", "what they cost in all, exact to the cent", low=0),
    ),
    log_retention_days=1,
    may_be_empty=True,
)

LIVE_STATION_STATUS = Table(
    name="live.station_status",
    description="A station now, a view: its latest event, its state unknown once the system's last good poll is more "
    "than 30 minutes ago.",
    grain=("system_id", "station_id"),
    columns=EVENTS_STATION_STATUS.columns,
)

LIVE_VEHICLE_STATUS = Table(
    name="live.vehicle_status",
    description="A vehicle of its system's last good poll of them, a view.",
    grain=("system_id", "vehicle_id"),
    columns=(
        *EVENTS_VEHICLE_STATUS.columns,
        Column("last_good_poll_at", "timestamp", "the system's last good poll of vehicles"),
        Column("stands_hours", "double", "h that it had not moved until then", nullable=True, low=0),
        Column("is_abandoned", "boolean", "whether these are 24 or more", nullable=True),
    ),
)

VIEWS = (LIVE_STATION_STATUS, LIVE_VEHICLE_STATUS)
"""What `bike sql` has beside the tables."""

EVENTS_TABLES = (
    EVENTS_STATION_STATUS,
    EVENTS_STATION_INFORMATION,
    EVENTS_SYSTEM_INFORMATION,
    EVENTS_VEHICLE_STATUS,
    EVENTS_VEHICLE_TOTALS,
    EVENTS_POLLS,
    EVENTS_REJECTIONS,
    EVENTS_FEED_FIELDS,
    EVENTS_ORDERS,
    EVENTS_USERS,
)
DESCRIPTIONS = (EVENTS_STATION_INFORMATION, EVENTS_SYSTEM_INFORMATION)
"""A row of these holds until the next one, however long that is: no day of them can be left out."""

KEPT = (*DESCRIPTIONS, EVENTS_ORDERS, EVENTS_USERS)
"""However old: the sales are those of all orders, and a member is one until they are forgotten."""

LIVE_TABLES = (LIVE_SYSTEM_MINUTE, LIVE_VEHICLES_SYSTEM_MINUTE, LIVE_ORDERS_BY_SOURCE_STATE)
TABLES = (*EVENTS_TABLES, *LIVE_TABLES, *WAREHOUSE_TABLES, DIM_CUSTOMER)
"""`warehouse.dim_customer` is made of a list, not of days of events: it is none of the tables that `build` builds."""
