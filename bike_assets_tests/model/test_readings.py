import pytest

from bike_assets.model.readings import State, is_open, state_of
from bike_assets_tests.model.builders import reading


@pytest.mark.parametrize("flag", ["is_installed", "is_renting", "is_returning"])
def test_a_station_is_open_only_where_all_three_flags_are_set(flag: str) -> None:
    assert is_open(reading())
    assert not is_open(reading(**{flag: False}))


def test_a_station_with_bikes_and_docks_is_available() -> None:
    assert state_of(reading()) == State.AVAILABLE


def test_a_closed_station_is_closed_whatever_it_holds() -> None:
    assert state_of(reading(is_renting=False, bikes_available=0, docks_available=0)) == State.CLOSED


def test_a_station_without_bikes_and_docks_is_empty_before_it_is_full() -> None:
    assert state_of(reading(bikes_available=0, docks_available=0)) == State.EMPTY


def test_a_station_with_bikes_and_no_dock_is_full() -> None:
    assert state_of(reading(docks_available=0)) == State.FULL


def test_a_station_that_gives_no_docks_is_never_full() -> None:
    assert state_of(reading(docks_available=None)) == State.AVAILABLE


def test_vehicles_out_of_order_are_no_bikes_to_take() -> None:
    assert state_of(reading(bikes_available=0, bikes_disabled=7)) == State.EMPTY


def test_states_stand_in_the_order_in_which_they_apply() -> None:
    assert list(State) == ["unknown", "closed", "empty", "full", "available"]
