"""What is asked, where, and how often."""

import pytest
from pydantic import SecretStr

from bike_assets.model.errors import WrongSettings
from bike_assets.sources.config import GbfsSource, JcdecauxSource
from bike_assets.sources.http import Request
from bike_assets.sources.plan import Defaults, FeedPlan, plans_for, plans_from_discovery, ttl_of
from bike_assets_tests.sources.builders import gbfs

KEY = SecretStr("canary-5f3e9d")
DEFAULTS = Defaults(60, "https://api.example", KEY)
OSLO = GbfsSource(system_id="oslo", url="https://oslo.example/gbfs.json")
DAY_S, HOUR_S = 86_400, 3_600


def test_one_contract_is_asked_for_itself() -> None:
    (plan,) = plans_for(JcdecauxSource(contract="lyon"), DEFAULTS)
    assert plan == FeedPlan("jcdecaux:lyon", "jcdecaux.v1.stations", "https://api.example/vls/v1/stations", 60,
                            {"contract": "lyon"}, {"apiKey": KEY})


def test_version_3_of_jcdecaux_is_asked_at_its_own_address() -> None:
    (plan,) = plans_for(JcdecauxSource(contract="lyon", version=3), DEFAULTS)
    assert plan == FeedPlan("jcdecaux:lyon", "jcdecaux.v3.stations", "https://api.example/vls/v3/stations", 60,
                            {"contract": "lyon"}, {"apiKey": KEY})


def test_several_contracts_are_asked_for_at_once() -> None:
    source = JcdecauxSource(contracts=("lyon", "nantes"), url="http://127.0.0.1:1/", poll_seconds=5)
    (plan,) = plans_for(source, DEFAULTS)
    assert plan == FeedPlan("jcdecaux", "jcdecaux.v1.stations", "http://127.0.0.1:1/vls/v1/stations", 5,
                            {}, {"apiKey": KEY})


@pytest.mark.parametrize("key", [None, SecretStr("")])
def test_jcdecaux_without_a_key_says_how_to_give_one(key: SecretStr | None) -> None:
    with pytest.raises(WrongSettings, match=r"^BIKE_JCDECAUX_KEY is not set, and jcdecaux:lyon cannot be polled"):
        plans_for(JcdecauxSource(contract="lyon"), Defaults(60, "https://api.example", key))


def test_a_gbfs_system_is_asked_first_where_its_feeds_are() -> None:
    (plan,) = plans_for(OSLO, Defaults(60, "https://api.example", None))
    assert (plan.feed, plan.url, plan.every_s) == ("gbfs.gbfs", OSLO.url, DAY_S)


def test_then_for_each_feed_that_it_lists() -> None:
    names = ("gbfs", "station_status", "station_information", "system_information", "vehicle_types", "geofencing")
    plans = plans_from_discovery(OSLO, {name: f"https://oslo.example/{name}" for name in names}, DEFAULTS)
    assert [(plan.feed, plan.every_s) for plan in plans] == [
        ("gbfs.system_information", DAY_S), ("gbfs.vehicle_types", DAY_S),
        ("gbfs.station_information", HOUR_S), ("gbfs.station_status", 60),
    ]
    (only,) = plans_from_discovery(OSLO, {"station_status": "https://oslo.example/s"}, DEFAULTS)
    assert only.request('"v1"') == Request("oslo", "gbfs.station_status", "https://oslo.example/s", etag='"v1"')


def test_vehicles_are_asked_before_the_stations_and_as_often_by_one_name_alone() -> None:
    def asked(*names: str) -> list[tuple[str, float]]:
        plans = plans_from_discovery(OSLO, {name: f"https://oslo.example/{name}" for name in names}, DEFAULTS)
        return [(plan.feed, plan.every_s) for plan in plans]

    status = ("gbfs.station_status", 60)
    assert asked("station_status", "free_bike_status") == [("gbfs.free_bike_status", 60), status]
    assert asked("vehicle_status", "station_status", "free_bike_status") == [("gbfs.vehicle_status", 60), status]


def test_no_plan_and_no_request_shows_its_key() -> None:
    (plan,) = plans_for(JcdecauxSource(contract="lyon"), DEFAULTS)
    assert "canary" not in f"{plan!r} {plan.request()!r} {DEFAULTS!r}"


@pytest.mark.parametrize(
    ("feed", "own", "ttl", "seconds"), [
        ("station_status", 60, None, 60), ("station_status", 60, 0, 60), ("station_status", 60, 30, 60),
        ("station_status", 60, 300, 300), ("station_status", 60, 10**9, 900), ("vehicle_status", 60, 10**9, 900),
        ("station_status", 3_600, 10**9, 3_600), ("station_information", 60, 10**9, DAY_S),
    ],
)  # fmt: skip
def test_a_longer_ttl_puts_the_next_poll_off_by_half_a_gap_or_a_day_at_most(
    feed: str, own: float, ttl: int | None, seconds: float
) -> None:
    (plan,) = plans_from_discovery(OSLO, {feed: "https://oslo.example/s"}, Defaults(own, "https://api.example", None))
    assert plan.every(ttl) == seconds


@pytest.mark.parametrize(
    ("body", "ttl"),
    [(gbfs({}), 60), (gbfs({"ttl": 5}, ttl=0), 0), (gbfs({}, ttl=-1), None), (gbfs({}, ttl="x"), None), (b"[]", None),
     (b"", None), (b"<html>", None)],
)
def test_the_ttl_of_a_body(body: bytes, ttl: int | None) -> None:
    assert ttl_of(body) == ttl
