"""Which systems an answer speaks of: one, or every contract that was expected in it."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import structlog

from bike_assets.model.answers import ALL_CONTRACTS, Answer
from bike_assets.model.errors import FeedMalformed
from bike_assets.model.messages import Outcome
from bike_assets.sources.jcdecaux.arrays import split_by_contract

log = structlog.get_logger()


def parts(answer: Answer, expected: Callable[[], Iterable[str]]) -> list[Answer]:
    """The answer itself, or one for each contract that it holds or should have held.

    A contract that is missing is `invalid` for that system; all share the `request_id`. A failure, and
    a body that cannot be split, is a failure of each expected system; where none is, of the answer itself.
    """
    if answer.system_id != ALL_CONTRACTS:
        return [answer]
    wanted = set(expected())
    try:
        found = split_by_contract(answer) if answer.body and answer.failure is None else {}
    except FeedMalformed:
        found = {}  # each system's parser meets the same body, says the same of it, and keeps it
    except Exception:  # what nobody thought of: likewise
        log.exception("an answer with all contracts could not be split")
        found = {}
    if not found:
        every = [replace(answer, system_id=system_id, is_shared=True) for system_id in sorted(wanted)]
        return every or [answer]
    missing = [_missing(answer, system_id) for system_id in sorted(wanted - found.keys())]
    return [replace(part, is_shared=True) for part in found.values()] + missing


def expected_parts(answer: Answer, expected: frozenset[str]) -> list[Answer]:
    """The parts that were asked for; a contract that is in nobody's list, or in another source's, is not.

    Rows that name no contract stay: they are rejected under the id of all contracts.
    """
    kept = expected | {ALL_CONTRACTS}
    return [part for part in parts(answer, lambda: expected) if part.system_id in kept]


def _missing(answer: Answer, system_id: str) -> Answer:
    return replace(
        answer,
        system_id=system_id,
        body=None,
        failure=Outcome.INVALID,
        error="the contract is missing from the answer with all contracts",
        is_shared=True,
    )
