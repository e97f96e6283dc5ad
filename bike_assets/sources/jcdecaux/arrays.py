"""What the versions of JCDecaux's API have in common: an answer is an array of stations, of one contract or of all.

One producer writes them, with the types that it documents: nothing is read leniently.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from msgspec import Meta, Raw, Struct, field
from msgspec.json import Decoder

from bike_assets.model.answers import ALL_CONTRACTS, JCDECAUX_PREFIX, Answer, RejectedRow
from bike_assets.model.errors import FeedMalformed
from bike_assets.sources.rows import UNREADABLE, Rows, decoded, why

V1, V3 = "jcdecaux.v1.stations", "jcdecaux.v3.stations"

Number = Annotated[int, Meta(ge=0, le=10**15)]
"""What a station is called by; its `station_id` is this as text."""

_ContractName = Annotated[str, Meta(pattern=r"^[^/\x00-\x1f\x7f]+$")]


class _OfContractV1(Struct, gc=False):
    contract_name: _ContractName


class _OfContractV3(Struct, gc=False):
    contract_name: _ContractName = field(name="contractName")


_OfContract = _OfContractV1 | _OfContractV3


class _Owners:
    """Whose each row is, as one version says it."""

    def __init__(self, kind: type[_OfContract]) -> None:
        self.decode = Decoder(kind).decode
        self._decode_all = Decoder(list[kind]).decode  # type: ignore[valid-type]

    def of(self, body: bytes, rows: Sequence[Raw]) -> list[str]:
        """The system of each row, the id of all contracts where it cannot be told."""
        try:
            contracts: list[_OfContract] = self._decode_all(body)
        except UNREADABLE:
            return [self._of_row(raw) for raw in rows]
        return [JCDECAUX_PREFIX + each.contract_name.lower() for each in contracts]

    def _of_row(self, raw: Raw) -> str:
        try:
            return JCDECAUX_PREFIX + self.decode(raw).contract_name.lower()
        except UNREADABLE:
            return ALL_CONTRACTS


_OWNERS = {V1: _Owners(_OfContractV1), V3: _Owners(_OfContractV3)}
_decode_rows = Decoder(Rows[Raw]).decode


def station_rows(body: bytes, system_id: str) -> list[Raw]:
    """The rows as they came. Raises FeedMalformed where the body is no JSON array."""
    try:
        return decoded(_decode_rows, body)
    except UNREADABLE as err:
        raise FeedMalformed(system_id, f"the answer is no JSON array of stations: {why(err)}") from None


def split_by_contract(answer: Answer) -> dict[str, Answer]:
    """An answer with all contracts as one for each, by system id, with the very bytes of its rows.

    Rows whose contract cannot be read stay under the id of all contracts, to be rejected there.
    Raises FeedMalformed where the body is no JSON array, or no version's.
    """
    body = answer.body or b""
    owners = _OWNERS.get(answer.feed)
    if owners is None:
        raise FeedMalformed(answer.system_id, f"no parser reads a feed called {answer.feed}")
    rows_of: dict[str, list[Raw]] = {}
    rows = station_rows(body, answer.system_id)
    for system_id, raw in zip(owners.of(body, rows), rows, strict=True):
        rows_of.setdefault(system_id, []).append(raw)
    return {
        system_id: replace(answer, system_id=system_id, body=b"[" + b",".join(map(bytes, own)) + b"]")
        for system_id, own in rows_of.items()
    }


def of_nobody(feed: str, rows: Sequence[Raw]) -> list[RejectedRow]:
    """What is left under the id of all contracts is rows that name none: each of them is rejected."""
    return [RejectedRow(place, _why_nobodys(feed, raw), bytes(raw)) for place, raw in enumerate(rows)]


def _why_nobodys(feed: str, raw: Raw) -> str:
    try:
        _OWNERS[feed].decode(raw)
    except UNREADABLE as err:
        return f"bad_contract: {why(err)}"
    return "bad_contract: not one contract's answer"
