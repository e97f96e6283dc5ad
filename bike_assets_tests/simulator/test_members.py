"""The members' API: pages, seeds, and an end that moves."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from bike_assets.simulator.members import FIRST_MEMBERS, SIGNS_UP_S, page
from bike_assets.simulator.server import serve

BEGAN = datetime(2026, 6, 1, 12, tzinfo=UTC)


def asked(seed: str, number: int, results: int, later_s: float = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(page(seed, number, results, BEGAN, BEGAN + timedelta(seconds=later_s)))
    return found


def test_the_same_seed_and_page_are_the_same_people_and_another_seed_is_others() -> None:
    assert asked("a", 2, 10) == asked("a", 2, 10)
    ids = [{each["login"]["uuid"] for each in asked(seed, 2, 10)["results"]} for seed in "ab"]
    assert not ids[0] & ids[1]


def test_pages_follow_each_other_whatever_their_size() -> None:
    by_tens = [each for number in range(1, 5) for each in asked("a", number, 10)["results"]]
    assert by_tens == asked("a", 1, 40)["results"]


def test_the_list_ends_and_somebody_signs_up_now_and_then() -> None:
    assert len(asked("a", 1, 5_000)["results"]) == FIRST_MEMBERS
    assert len(asked("a", 1, 5_000, later_s=3 * SIGNS_UP_S)["results"]) == FIRST_MEMBERS + 3
    assert asked("a", 99, 100)["results"] == []
    last = asked("a", 1, 5_000, later_s=10 * SIGNS_UP_S)["results"][-1]
    assert datetime.fromisoformat(last["registered"]["date"]) <= BEGAN + timedelta(seconds=10 * SIGNS_UP_S)


@pytest.mark.parametrize("results", [0, 5_001])
def test_a_page_of_too_many_or_none_is_one_of_one_as_the_real_api_has_it(results: int) -> None:
    assert len(asked("a", 1, results)["results"]) == 1


def test_the_server_answers_as_the_api_does() -> None:
    with serve([], 0) as base:
        found = requests.get(f"{base}/members/api/?seed=x&page=2&results=3", timeout=5).json()
        refused = requests.get(f"{base}/members/api/?page=two", timeout=5)
    assert found["info"] == {"seed": "x", "results": 3, "page": 2, "version": "1.4"}
    assert set(found["results"][0]) == {"gender", "name", "location", "email", "login", "dob", "registered", "phone",
                                        "cell", "id", "picture", "nat"}  # fmt: skip
    assert refused.status_code == 400
