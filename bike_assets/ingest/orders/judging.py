"""What becomes of requests, given what is known: pure, and the same for one order and for many."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from bike_assets.ingest.orders.book import Key
from bike_assets.ingest.orders.reading import OrdersRefused, Problem, differing, place
from bike_assets.model.messages import Order

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Order).decode


@dataclass(frozen=True, slots=True)
class Asked:
    """The orders of a request, as they will stand in the topic."""

    orders: list[Order]
    is_list: bool
    contents: dict[Key, bytes] = field(default_factory=dict)

    @classmethod
    def of(cls, orders: list[Order], *, is_list: bool) -> "Asked":
        """Raises OrdersRefused where it gives one version two contents."""
        contents: dict[Key, bytes] = {}
        for index, order in enumerate(orders):
            content = _encode(order)
            before = contents.setdefault(Key(order.order_id, order.version), content)
            if before != content:
                raise OrdersRefused(409, [_conflict(index, order, before, is_list=is_list)])
        return cls(orders, is_list, contents)


@dataclass(frozen=True, slots=True)
class Stored:
    """What a request is answered: so many versions were new, so many were known with the same content."""

    stored: int
    repeated: int


def judge(
    group: Iterable[Asked], known: Mapping[Key, bytes]
) -> tuple[list[Stored | OrdersRefused], dict[Key, bytes]]:
    """The answer of each request once the new versions are stored, and these versions.

    A request is taken whole or not at all. One that was refused leaves nothing that a later one could meet.
    """
    new: dict[Key, bytes] = {}
    answers: list[Stored | OrdersRefused] = []
    for asked in group:
        conflicts = [
            _conflict(index, order, before, is_list=asked.is_list)
            for index, order in enumerate(asked.orders)
            if (before := known.get(key := Key(order.order_id, order.version)) or new.get(key)) is not None
            and before != asked.contents[key]
        ]
        if conflicts:
            answers.append(OrdersRefused(409, conflicts))
            continue
        fresh = {key: content for key, content in asked.contents.items() if key not in known and key not in new}
        new |= fresh
        answers.append(Stored(len(fresh), len(asked.orders) - len(fresh)))
    return answers, new


def _conflict(index: int, order: Order, before: bytes, *, is_list: bool) -> Problem:
    name = differing(order, _decode(before))
    known = f"Version {order.version} of order {order.order_id} is known with another {name}"
    return Problem(place(index, name, is_list=is_list), f"{known}: a correction is a new version.")
