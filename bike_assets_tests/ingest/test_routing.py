"""An answer with all contracts is a poll of each that it holds, or should hold."""

import pytest

from bike_assets.ingest import routing
from bike_assets.ingest.routing import expected_parts, parts
from bike_assets.model.answers import ALL_CONTRACTS, Answer
from bike_assets.model.messages import Outcome
from bike_assets_tests.sources.builders import answer, body_of, jcdecaux_row

FEED = "jcdecaux.v1.stations"
LYON, NANTES = "jcdecaux:lyon", "jcdecaux:nantes"


def of_all(*contracts: str) -> Answer:
    return answer(FEED, body_of([jcdecaux_row(contract_name=each) for each in contracts]), ALL_CONTRACTS)


def test_the_answer_of_one_system_is_its_own() -> None:
    one = answer(FEED, b"[]", LYON)
    assert parts(one, lambda: [NANTES]) == [one]


def test_each_contract_gets_its_rows_and_all_share_the_request() -> None:
    found = parts(of_all("Lyon", "Nantes", "Lyon"), list)
    assert [(part.system_id, (part.body or b"").count(b"contract_name")) for part in found] == [(LYON, 2), (NANTES, 1)]
    assert {part.request_id for part in found} == {"request"}
    assert all(part.is_shared for part in found)


def test_an_expected_contract_that_is_missing_is_invalid_for_it_alone() -> None:
    lyon, nantes = parts(of_all("Lyon"), lambda: [LYON, NANTES])
    assert (lyon.failure, nantes.system_id, nantes.failure, nantes.body) == (None, NANTES, Outcome.INVALID, None)


def test_a_body_that_fails_as_nobody_thought_is_that_of_each_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def unforeseen(_: Answer) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(routing, "split_by_contract", unforeseen)
    whole = of_all("Lyon")
    found = parts(whole, lambda: [NANTES, LYON])
    assert [(part.system_id, part.body, part.failure) for part in found] == [
        (LYON, whole.body, None), (NANTES, whole.body, None)]


@pytest.mark.parametrize("body", [b"<html>", b'{"error": "Unauthorized"}', b"[]"])
def test_a_broken_body_is_the_body_of_each_that_was_expected(body: bytes) -> None:
    found = parts(answer(FEED, body, ALL_CONTRACTS), lambda: [NANTES, LYON])
    assert [(part.system_id, part.body) for part in found] == [(LYON, body), (NANTES, body)]


def test_where_none_is_expected_a_broken_body_is_kept_under_the_id_of_all() -> None:
    assert [part.system_id for part in parts(answer(FEED, b"<html>", ALL_CONTRACTS), list)] == [ALL_CONTRACTS]


def test_a_contract_that_nobody_asked_for_is_passed_over() -> None:
    found = expected_parts(of_all("Lyon", "Nantes"), frozenset({LYON}))
    assert [part.system_id for part in found] == [LYON]
