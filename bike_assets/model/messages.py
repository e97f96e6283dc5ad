"""What the topics carry. A class here is the one place where a message, its topic's JSON Schema and,
for `events.*`, its Delta table are written down; units stand in the descriptions.

All instants are UTC with milliseconds.
"""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from bike_assets.model.constants import MAX_COUNT
from bike_assets.model.readings import State

SystemId = Annotated[str, Meta(description="the system, in GBFS's words; `jcdecaux:<contract>` for JCDecaux")]
StationId = Annotated[str, Meta(description="the station, as its feed names it")]
ObservedAt = Annotated[datetime, Meta(description="when the last byte of the answer came")]
Count = Annotated[int, Meta(ge=0, le=MAX_COUNT)]
Feed = Annotated[str, Meta(description="GBFS's name; JCDecaux's stations count as station_status, "
                 "free_bike_status as vehicle_status")]  # fmt: skip
FetchedAt = Annotated[datetime, Meta(description="when the last byte of the answer came, or the failure")]
Address = Annotated[str | None, Meta(description="street and number, as the feed writes them")]
HasPaymentTerminal = Annotated[bool | None, Meta(description="takes payment cards; null where not given")]
BikesAvailable = Annotated[int, Meta(ge=0, le=MAX_COUNT, description="vehicles of all types to take")]
EbikesAvailable = Annotated[Count | None, Meta(description="of them electric; null where not given")]
DocksAvailable = Annotated[Count | None, Meta(description="docks to return to; null where not given")]
BikesDisabled = Annotated[Count | None, Meta(description="vehicles out of order")]
DocksDisabled = Annotated[Count | None, Meta(description="docks out of order")]
IsInstalled = Annotated[bool, Meta(description="stands on the street")]
IsRenting = Annotated[bool, Meta(description="gives vehicles out, where it has any")]
IsReturning = Annotated[bool, Meta(description="takes vehicles back, where it has a dock")]
StateNow = Annotated[State, Meta(description="unknown, closed, empty, full or available")]
StateSince = Annotated[datetime, Meta(description="since when it is in this state, gaps ignored")]
ReportedAt = Annotated[datetime | None, Meta(description="the station's own time of its last report")]
Latitude = Annotated[float, Meta(ge=-90, le=90, description="degrees north, WGS 84")]
Longitude = Annotated[float, Meta(ge=-180, le=180, description="degrees east, WGS 84")]
VehicleId = Annotated[str, Meta(description="the vehicle, as its feed names it until its next trip: ids rotate")]
VehicleType = Annotated[str | None, Meta(description="`vehicle_type_id` of its feed; null where not given")]
AtStation = Annotated[str | None, Meta(description="the station that it stands at; null: at none, or not given")]
PlaceNorth = Annotated[Latitude | None, Meta(description="degrees north, WGS 84; null where only its station is given")]
PlaceEast = Annotated[Longitude | None, Meta(description="degrees east, WGS 84; null where only its station is given")]
IsReserved = Annotated[bool, Meta(description="kept for somebody")]
IsDisabled = Annotated[bool, Meta(description="out of order")]
Year = Annotated[int, Meta(ge=1850, le=2200)]
Percent = Annotated[float, Meta(ge=0, le=100)]
Metres = Annotated[float, Meta(ge=0)]
BatteryPct = Annotated[Percent | None, Meta(description="% of its battery or fuel, as given, or else its "
                                          "range of that of its type; null where neither is known")]  # fmt: skip
RangeM = Annotated[Metres | None, Meta(description="m that it can still go; null where not given")]
StandsSince = Annotated[datetime, Meta(description="since when it was not seen to move, under this id; gaps ignored")]


class EventKind(StrEnum):
    """Why an event was written."""

    CHANGE = "change"
    KEYFRAME = "keyframe"
    ABSENT = "absent"


class Outcome(StrEnum):
    """What became of one fetch. Only `ok` and `not_modified` are good."""

    OK = "ok"
    NOT_MODIFIED = "not_modified"
    STALE = "stale"
    OUT_OF_ORDER = "out_of_order"
    HTTP_ERROR = "http_error"
    TIMEOUT = "timeout"
    TOO_LARGE = "too_large"
    INVALID = "invalid"


GOOD = frozenset({Outcome.OK, Outcome.NOT_MODIFIED})
"""Only these say anything of stations."""


class StationStatus(Struct, frozen=True, gc=False):
    """An event of a station: a change, the hour's keyframe, or an absence (all of the reading is null)."""

    system_id: SystemId
    station_id: StationId
    observed_at: ObservedAt
    kind: Annotated[EventKind, Meta(description="change, keyframe or absent")]
    bikes_available: BikesAvailable | None
    ebikes_available: EbikesAvailable
    docks_available: DocksAvailable
    bikes_disabled: BikesDisabled
    docks_disabled: DocksDisabled
    is_installed: IsInstalled | None
    is_renting: IsRenting | None
    is_returning: IsReturning | None
    state: StateNow
    state_since: StateSince
    bikes_before: Annotated[Count | None, Meta(description="of the reading before; null after an absence")]
    docks_before: Annotated[Count | None, Meta(description="of the reading before; null after an absence")]
    state_before: Annotated[State | None, Meta(description="of the reading before; null after an absence")]
    reported_at: ReportedAt


class StationInformation(Struct, kw_only=True, frozen=True):
    """A change of what a station is."""

    system_id: SystemId
    station_id: StationId
    observed_at: ObservedAt
    name: Annotated[str, Meta(description="what the public calls it")]
    address: Address
    lat: Latitude
    lon: Longitude
    capacity: Annotated[Count | None, Meta(description="docks installed; null where not given")]
    has_payment_terminal: HasPaymentTerminal


class SystemInformation(Struct, kw_only=True, frozen=True):
    """A change of what a system is."""

    system_id: SystemId
    observed_at: ObservedAt
    name: Annotated[str, Meta(description="what the public calls it")]
    operator: Annotated[str | None, Meta(description="who runs it; null where not given")]
    city: Annotated[str | None, Meta(description="where it stands; null where nobody says")]
    country: Annotated[str | None, Meta(description="ISO 3166-1 alpha-2")]
    timezone: Annotated[str, Meta(description="IANA name; UTC where nobody says")]
    kind: Annotated[str, Meta(description="gbfs or jcdecaux")]


class Poll(Struct, kw_only=True, frozen=True):
    """A fetch of a feed of a system, whatever came of it. Totals are null where the poll is not good."""

    system_id: SystemId
    feed: Feed
    fetched_at: FetchedAt
    request_id: Annotated[str, Meta(description="shared by the polls that one answer made")]
    outcome: Annotated[Outcome, Meta(description="what became of it; only ok and not_modified are good")]
    http_status: Annotated[int | None, Meta(description="of the answer; null where none came")]
    seconds: Annotated[float | None, Meta(description="s, from the request to the last byte")]
    bytes: Annotated[int | None, Meta(description="length of the body, decompressed")]
    rows_in: Annotated[int, Meta(ge=0, description="rows that the body had")]
    rows_accepted: Annotated[int, Meta(ge=0, description="of them read")]
    rows_rejected: Annotated[int, Meta(ge=0, description="of them refused, each kept in rejections")]
    events: Annotated[int, Meta(ge=0, description="events that it made in the topic of its feed")]
    feed_updated_at: Annotated[datetime | None, Meta(description="the body's own time")]
    error: Annotated[str | None, Meta(description="what was wrong, in a sentence, without secrets")]
    stations: Annotated[Count | None, Meta(description="stations with an accepted reading")]
    empty: Annotated[Count | None, Meta(description="of them open, without a bike")]
    full: Annotated[Count | None, Meta(description="of them open, with bikes and without a dock")]
    closed: Annotated[Count | None, Meta(description="of them not open")]
    bikes_available: Annotated[Count | None, Meta(description="over open stations")]
    docks_available: Annotated[Count | None, Meta(description="over open stations that give docks")]
    ebikes_available: Annotated[Count | None, Meta(description="over open stations that give them")]
    bikes_with_docks: Annotated[Count | None, Meta(description="bikes at open stations that give docks")]


class Rejection(Struct, kw_only=True, frozen=True):
    """A refused row or body, kept with its reason."""

    system_id: SystemId
    feed: Feed
    fetched_at: FetchedAt
    row_index: Annotated[int, Meta(ge=-1, description="place in the answer; -1 is the body")]
    reason: Annotated[str, Meta(description="why it was refused, in a sentence")]
    payload: Annotated[str | None, Meta(description="its bytes as text, the first 10,000 characters; null "
                       "after a million of them in one answer")]  # fmt: skip


class FeedField(Struct, kw_only=True, frozen=True, gc=False):
    """A field of a feed, as the first readable body of an hour had it: what drift is told by."""

    system_id: SystemId
    feed: Feed
    fetched_at: FetchedAt
    path: Annotated[str, Meta(description="where it stands: `data.stations[].lat`")]
    objects: Annotated[int, Meta(ge=0, description="objects looked at that could have it, 2,000 rows at most")]
    given: Annotated[int, Meta(ge=0, description="of them have it, and not as null")]
    kind: Annotated[str | None, Meta(description="of its values: flag, number, time, text, list, object or mixed")]
    low: Annotated[float | None, Meta(description="the least of its numbers, in the feed's own unit")]
    median: Annotated[float | None, Meta(description="the median of its numbers")]
    high: Annotated[float | None, Meta(description="the greatest of its numbers")]
    words: Annotated[str | None, Meta(description="of a field of few words: these, as a JSON array")]


class Order(Struct, kw_only=True, frozen=True, gc=False):
    """A version of an order, as a shop or an app sent it. The highest version of an order is what counts."""

    order_id: Annotated[str, Meta(description="the order, as its seller names it")]
    version: Annotated[int, Meta(ge=1, le=MAX_COUNT, description="a later one corrects the ones before")]
    customer_id: Annotated[str, Meta(description="who ordered, as warehouse.dim_customer names them")]
    source: Annotated[str, Meta(description="the shop or app that it came from")]
    quantity: Annotated[int, Meta(ge=0, le=MAX_COUNT, description="pieces; 0 where all was taken back")]
    total: Annotated[Decimal, Meta(description="what it costs in all, exact to the cent")]
    created_at: Annotated[datetime, Meta(description="when this version was made, by the seller's clock")]


class User(Struct, kw_only=True, frozen=True, gc=False):
    """A member, once: what `model.personal` leaves of them when the members API first told of them."""

    member_id: Annotated[str, Meta(description="the member, as the members API names them (login.uuid)")]
    taken_at: Annotated[datetime, Meta(description="when the answer came that first told of them")]
    registered_at: Annotated[datetime, Meta(description="when they signed up")]
    gender: Annotated[str | None, Meta(description="as the API writes it; null where not given")]
    birth_year: Annotated[Year | None, Meta(description="of the date of birth; null where not given")]
    city: Annotated[str | None, Meta(description="where they live; null where not given")]
    state: Annotated[str | None, Meta(description="where they live; null where not given")]
    country: Annotated[str | None, Meta(description="where they live; null where not given")]
    postcode_area: Annotated[str | None, Meta(description="the first two characters of the postcode")]
    lat: Annotated[Latitude | None, Meta(description="degrees north, rounded to 0.1 (11 km); null where not given")]
    lon: Annotated[Longitude | None, Meta(description="degrees east, rounded to 0.1; null where not given")]
    nationality: Annotated[str | None, Meta(description="as the API writes it; null where not given")]
    email_hash: Annotated[str, Meta(description="of the address in lower case, by HMAC-SHA-256 with BIKE_MEMBERS_KEY")]
    username_hash: Annotated[str | None, Meta(description="the same of the user's name; null where not given")]


class MemberCursor(Struct, kw_only=True, frozen=True):
    """How far the members API was read, committed together with what was read of it."""

    KEY: ClassVar[str] = "cursor"

    source: Annotated[str, Meta(description="the API's address, without its query")]
    seed: Annotated[str, Meta(description="which the API was asked with")]
    results: Annotated[int, Meta(ge=1, description="rows of a page")]
    page: Annotated[int, Meta(ge=1, description="the first that was not yet full")]
    moved_at: Annotated[datetime, Meta(description="when it was written")]
    key_check: Annotated[str, Meta(description="a hash by which another key is noticed")]
    refused: Annotated[list[str], Meta(description="keyed hashes of the last refused rows, each told once")]


class MemberForgotten(Struct, kw_only=True, frozen=True):
    """A member who asked to be forgotten, and is never taken again: nothing but a keyed hash of the id."""

    member_key: Annotated[str, Meta(description="of the member's id, by HMAC-SHA-256 with BIKE_MEMBERS_KEY")]
    asked_at: Annotated[datetime, Meta(description="when that was asked for, the last time")]


class StationState(Struct, frozen=True, gc=False):
    """The last reading of a station: what a poller needs to go on, and what the page shows.

    An absent station keeps its last reading here, with `absent_since`.
    """

    KEY_KIND: ClassVar[str] = "station"

    system_id: SystemId
    station_id: StationId
    changed_at: Annotated[datetime, Meta(description="the poll that wrote this state")]
    bikes_available: BikesAvailable
    ebikes_available: EbikesAvailable
    docks_available: DocksAvailable
    bikes_disabled: BikesDisabled
    docks_disabled: DocksDisabled
    is_installed: IsInstalled
    is_renting: IsRenting
    is_returning: IsReturning
    state: StateNow
    state_since: StateSince
    reported_at: ReportedAt
    absent_since: Annotated[datetime | None, Meta(description="the first good poll without it; null: it is seen")]
    last_seen_at: Annotated[datetime | None, Meta(description="its last accepted reading, once absent")]


class SystemState(Struct, kw_only=True, frozen=True):
    """What a poller must remember of a system to judge the next answer."""

    system_id: SystemId
    observed_at: Annotated[dict[str, datetime], Meta(description="the last one, by feed")]
    last_good_poll_at: Annotated[datetime | None, Meta(description="of station_status")]
    feed_updated_at: Annotated[datetime | None, Meta(description="the newest of a good poll")]
    feed_has_advanced: Annotated[bool, Meta(description="whether the body's own time ever moved on")]
    electric_types: Annotated[list[str] | None, Meta(description="electric vehicle types; null: not told")]
    is_shared_feed: Annotated[bool, Meta(description="its good poll came in an answer with all contracts")]
    shaped_at: Annotated[dict[str, datetime], Meta(description="the last body whose fields were told, by feed")] = {}
    unlisted_since: Annotated[dict[str, datetime], Meta(
        description="since when a described station is neither listed nor in the status")] = {}


class VehicleStatus(Struct, frozen=True, gc=False):
    """An event of a vehicle: a change, the hour's keyframe, or an absence (all of the reading is null).

    A change is a move over 25 m, another flag, station or type, or 5 % of the battery; a keyframe repeats the last one.
    """

    system_id: SystemId
    vehicle_id: VehicleId
    observed_at: ObservedAt
    kind: Annotated[EventKind, Meta(description="change, keyframe or absent")]
    vehicle_type: VehicleType
    station_id: AtStation
    lat: PlaceNorth
    lon: PlaceEast
    is_reserved: IsReserved | None
    is_disabled: IsDisabled | None
    battery_pct: BatteryPct
    range_m: RangeM
    stands_since: StandsSince | None


class VehicleTotals(Struct, kw_only=True, frozen=True):
    """What a good poll of a system's vehicles comes to: all that it lists, which are those nobody rides.

    Batteries are those of the vehicles' last events, and so true to 5 %.
    """

    system_id: SystemId
    observed_at: ObservedAt
    vehicles: Annotated[Count, Meta(description="vehicles listed")]
    available: Annotated[Count, Meta(description="of them neither reserved nor disabled")]
    reserved: Annotated[Count, Meta(description="of them reserved")]
    disabled: Annotated[Count, Meta(description="of them out of order")]
    abandoned: Annotated[Count, Meta(description="of them not moved for 24 hours")]
    low_battery: Annotated[Count, Meta(description="of them with less than 20 % of their battery")]
    medium_battery: Annotated[Count, Meta(description="of them with 20 % or more and less than 60 %")]
    high_battery: Annotated[Count, Meta(description="of them with 60 % or more")]
    top_charged: Annotated[str | None, Meta(description="the three best charged that are available, as JSON: "
                           "`[{\"vehicle_id\", \"battery_pct\"}, ...]`; null where no battery is known")]  # fmt: skip


class VehicleState(Struct, frozen=True, gc=False):
    """The last event of a vehicle that is in its feed: what a poller needs to go on."""

    system_id: SystemId
    vehicle_id: VehicleId
    changed_at: Annotated[datetime, Meta(description="the poll that wrote this state")]
    vehicle_type: VehicleType
    station_id: AtStation
    lat: PlaceNorth
    lon: PlaceEast
    is_reserved: IsReserved
    is_disabled: IsDisabled
    battery_pct: BatteryPct
    range_m: RangeM
    stands_since: StandsSince


class VehicleFeedState(Struct, kw_only=True, frozen=True):
    """What a poller must remember of a system's vehicles to judge the next answer."""

    system_id: SystemId
    last_good_poll_at: Annotated[datetime | None, Meta(description="of vehicle_status")]
    feed_updated_at: Annotated[datetime | None, Meta(description="the newest of a good poll")]
    feed_has_advanced: Annotated[bool, Meta(description="whether the body's own time ever moved on")]
    ranges_m: Annotated[dict[str, float], Meta(description="m that a full vehicle can go, by vehicle type")]
