"""What of a member is left, and what never is."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from bike_assets.model.errors import WrongSettings
from bike_assets.model.messages import User
from bike_assets.model.personal import POLICY, Keyed, RowRefused, Treatment, shape_of, what_is_left
from bike_assets.simulator.members import person

KEYED = Keyed("k" * 32)
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
DROPPED = {rule.path for rule in POLICY if rule.treatment is Treatment.DROPPED}


def row(**given: Any) -> dict[str, Any]:
    return person("s", 1, NOON) | given


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a row with its path."""
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield from leaves(each, f"{path}.{name}" if path else name)
    else:
        yield path, value


def test_every_field_of_the_api_is_in_the_policy_once() -> None:
    paths = [rule.path for rule in POLICY]
    assert sorted(paths) == sorted({path for path, _ in leaves(row())})


def test_a_member_has_what_the_policy_leaves_and_nothing_else() -> None:
    assert {rule.column for rule in POLICY if rule.column} | {"taken_at"} == set(User.__struct_fields__)
    assert all(rule.column is None for rule in POLICY if rule.treatment is Treatment.DROPPED)


def test_nothing_that_is_dropped_hashed_or_cut_can_be_read_in_what_is_left() -> None:
    whole = row()
    left = json.dumps(what_is_left(whole, KEYED), default=str)
    gone = {rule.path for rule in POLICY if rule.treatment is not Treatment.KEPT}
    for path, value in leaves(whole):
        if path in gone and len(str(value)) > 4:
            assert str(value) not in left, path


def test_what_is_cut_is_cut() -> None:
    place = row()["location"] | {"postcode": 25000, "coordinates": {"latitude": "47.2431", "longitude": "-6.0219"}}
    left = what_is_left(row(location=place, dob={"date": "1991-12-31T23:30:00Z"}), KEYED)
    assert (left["postcode_area"], left["lat"], left["lon"], left["birth_year"]) == ("25", 47.2, -6.0, 1991)


def test_an_address_has_one_hash_however_it_is_written_and_another_with_another_key() -> None:
    left = what_is_left(row(email=" Ada@Example.com"), KEYED)
    assert left["email_hash"] == KEYED.email("ada@example.COM ")
    assert left["email_hash"] != Keyed("l" * 32).email("ada@example.com")
    assert KEYED.hash("email", "x") != KEYED.hash("username", "x")


def test_what_the_policy_does_not_name_is_dropped() -> None:
    assert what_is_left(row(iban="NO93 8601 1117 947"), KEYED) == what_is_left(row(), KEYED)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"login": {"uuid": "canary"}}, "login.uuid: cannot be read"),
        ({"login": "canary"}, "login.uuid is missing"),
        ({"email": "canary"}, "email: is no address"),
        ({"email": None}, "email is missing"),
        ({"registered": {"date": "canary"}}, "registered.date: cannot be read"),
        ({"registered": {"date": "2026-01-01T00:00:00"}}, "registered.date: has no time zone"),
        ({"dob": {"date": "0101-01-01T00:00:00Z"}}, "dob.date: is no date of a birth"),
        ({"nat": ["canary"]}, "nat: is no text"),
        ({"nat": "canary\x1b[2J"}, "nat: is empty, longer than 200 characters, or cannot be printed"),
        ({"location": {"coordinates": {"latitude": "nan"}}}, "location.coordinates.latitude: is no place on earth"),
        ({"location": {"coordinates": {"latitude": 10**400}}}, "location.coordinates.latitude: cannot be read"),
        ({"location": {"coordinates": {"longitude": "canary"}}}, "location.coordinates.longitude: cannot be read"),
    ],
)
def test_a_refusal_names_the_field_and_never_the_value(given: dict[str, Any], reason: str) -> None:
    with pytest.raises(RowRefused) as told:
        what_is_left(row(**given), KEYED)
    assert str(told.value) == reason


@pytest.mark.parametrize("value", [None, "canary", ["canary"], 7])
def test_a_row_that_is_no_object_is_refused(value: Any) -> None:
    with pytest.raises(RowRefused, match=r"^the row is no object$"):
        what_is_left(value, KEYED)


def test_what_is_told_of_a_refused_row_has_no_value_of_it() -> None:
    told = shape_of(row(canary="x") | {"email": 7, "nat": None})
    assert (told["email"], told["nat"], told["login.password"]) == ("number", "nothing", "text")
    assert set(told.values()) <= {"text", "number", "flag", "object", "list", "nothing", "other"}
    assert set(told) == {rule.path for rule in POLICY}


def test_a_short_key_is_refused_and_not_repeated() -> None:
    with pytest.raises(WrongSettings, match="openssl rand -hex 32") as told:
        Keyed("canary")
    assert "canary" not in str(told.value)
