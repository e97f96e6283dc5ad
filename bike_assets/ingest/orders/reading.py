"""A body as orders, or what is wrong in it and where."""

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, NamedTuple, NoReturn

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from bike_assets.model.constants import MAX_COUNT
from bike_assets.model.errors import BikeAssetsError
from bike_assets.model.messages import Order

MAX_ORDERS = 1_000
"""In one request."""

AHEAD = timedelta(days=1)
"""How far a seller's clock may be ahead of ours."""

FIRST = datetime(2000, 1, 1, tzinfo=UTC)
SHOWN = 20
"""So many problems are told of one body."""

_CENT = Decimal("0.01")
_AMOUNT = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_INSTANT = re.compile(r"[0-9]{4}-.*")
_UNUSUAL = re.compile(
    rb"""\\|:\s*-?[0-9.]{16}|:\s*-?[0-9.]+[eE]|"total"\s*:\s*"(?!-?[0-9]+(\.[0-9]+)?")|"created_at"\s*:\s*"(?![0-9]{4}-)"""
)
"""An escape, a number that a float may not hold exactly, a text that pydantic takes for more than it says (Decimal
reads 1_000 and the digits of every script, digits alone are seconds since 1970): such a body is looked at
value by value."""

_ESCAPED = re.compile(r"[^ -~]")


class Problem(NamedTuple):
    """What is wrong, and where: `total`, or `[3].total` in a list."""

    field: str
    says: str


class OrdersRefused(BikeAssetsError):
    """A body that holds no orders, or of which one is wrong: none of it is stored."""

    def __init__(self, status: int, problems: list[Problem]) -> None:
        first = problems[0]
        super().__init__(f"{first.field}: {first.says}" if first.field else first.says)
        self.status, self.problems = status, problems


_Name = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,64}$")]
_Count = Annotated[int, Field(ge=0, le=MAX_COUNT)]


class OrderIn(BaseModel):
    """A version of an order. A later version corrects the ones before it."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    order_id: _Name = Field(description="the order, as its seller names it: 1 to 64 visible ASCII characters")
    version: Annotated[int, Field(ge=1, le=MAX_COUNT)] = Field(description="counts up with each correction")
    customer_id: _Name = Field(description="who ordered")
    source: _Name = Field(description="the shop or app that it came from")
    quantity: _Count = Field(description="pieces; 0 where all was taken back")
    total: Annotated[Decimal, Field(ge=0, max_digits=12, decimal_places=2)] = Field(
        description="what it costs in all, as a number or as text; two decimal places"
    )
    created_at: AwareDatetime = Field(
        description="when this version was made, with its offset from UTC"
    )


_ONE, _MANY = TypeAdapter(OrderIn), TypeAdapter(list[OrderIn])
_KEYS = [f'"{name}"'.encode() for name in OrderIn.model_fields]


def read_orders(body: bytes, now: datetime, days: int) -> list[Order]:
    """The orders of a body, in its order: none of them made more than `days` ago. Raises OrdersRefused.

    In nearly all bodies each name stands as often as there are orders, and pydantic tells the rest. Where one does
    not, or a number is long, the slow reader looks for names that stand twice and keeps every digit.
    """
    is_list = body.lstrip()[:1] == b"["
    found = None
    if not _UNUSUAL.search(body):
        found = _validated(body, is_list=is_list)
        if any(body.count(key) != len(found) for key in _KEYS):
            found = None
    if found is None:
        found = _validated(_exact(body), is_list=is_list)
    if not found:
        raise OrdersRefused(422, [Problem("", "The list holds no order.")])
    if len(found) > MAX_ORDERS:
        raise OrdersRefused(413, [Problem("", f"A request may hold {MAX_ORDERS} orders, this one has {len(found)}.")])
    _refuse_wrong_times(found, now, days, is_list=is_list)
    return [_order(each) for each in found]


def differing(one: Order, other: Order) -> str:
    """The first field in which two orders differ."""
    return next(name for name in Order.__struct_fields__ if getattr(one, name) != getattr(other, name))


def place(index: int, field: str, *, is_list: bool) -> str:
    """Where a field stands in the body."""
    return f"[{index}].{field}" if is_list else field


def _validated(body: bytes | str, *, is_list: bool) -> list[OrderIn]:
    try:
        return _MANY.validate_json(body) if is_list else [_ONE.validate_json(body)]
    except ValidationError as err:
        errors = err.errors(include_url=False, include_context=False, include_input=False)[:SHOWN]
    status = 400 if errors[0]["type"] == "json_invalid" else 422
    raise OrdersRefused(status, [Problem(_path(each["loc"]), f"{each['msg']}.") for each in errors])


def _exact(body: bytes) -> str:
    """The same JSON with each number that is no integer as text, all its digits kept. Raises for a doubled name."""
    try:
        text = body.decode()
        found = _without_doubles(json.loads(text, object_pairs_hook=_Pairs, parse_float=str), ())
        _refuse_odd_texts(found)
        return json.dumps(found)
    except (ValueError, RecursionError) as err:
        reason = str(err) if isinstance(err, json.JSONDecodeError) else "not UTF-8, too deep, or a number too long"
        raise OrdersRefused(400, [Problem("", f"Invalid JSON: {reason}.")]) from None


class _Pairs(list[tuple[str, Any]]):
    """An object as its names and values, before one of two equal names is lost."""


def _without_doubles(value: Any, path: tuple[str | int, ...]) -> Any:
    if isinstance(value, _Pairs):
        found: dict[str, Any] = {}
        for name, each in value:
            if name in found:
                _refuse_double((*path, name))
            found[name] = _without_doubles(each, (*path, name))
        return found
    if isinstance(value, list):
        return [_without_doubles(each, (*path, index)) for index, each in enumerate(value)]
    return value


def _refuse_double(path: tuple[str | int, ...]) -> NoReturn:
    raise OrdersRefused(400, [Problem(_path(path), "The name stands twice in one object.")])


def _refuse_odd_texts(found: Any) -> None:
    """Text that is an amount or an instant must say it plainly."""
    for index, each in enumerate(found if isinstance(found, list) else [found]):
        for name, pattern, example in (("total", _AMOUNT, "12.50"), ("created_at", _INSTANT, "2026-11-20T12:00:00Z")):
            text = each.get(name) if isinstance(each, dict) else None
            if isinstance(text, str) and not pattern.fullmatch(text):
                says = f"Input should be written plainly, as {example}."
                raise OrdersRefused(422, [Problem(place(index, name, is_list=isinstance(found, list)), says)])


def _path(parts: Iterable[str | int]) -> str:
    """A place in the body. A name from outside is shown as far as it is harmless."""
    words = [f"[{part}]" if isinstance(part, int) else f".{_ESCAPED.sub('?', part)[:64]}" for part in parts]
    return "".join(words).removeprefix(".")


def _refuse_wrong_times(found: list[OrderIn], now: datetime, days: int, *, is_list: bool) -> None:
    """Older ones may have been stored and forgotten: whether they are new, nobody could tell."""
    first = FIRST if now - FIRST < timedelta(days) else now - timedelta(days)
    last = now + AHEAD
    wrong = [index for index, each in enumerate(found) if not first <= each.created_at <= last]
    if wrong:
        says = f"Input should be an instant since {first:%Y-%m-%dT%H:%M:%SZ}, and not in the future."
        raise OrdersRefused(
            422, [Problem(place(index, "created_at", is_list=is_list), says) for index in wrong[:SHOWN]]
        )


def _order(each: OrderIn) -> Order:
    """In one spelling: two orders are the same where these are."""
    at = each.created_at.astimezone(UTC)
    return Order(
        order_id=each.order_id, version=each.version, customer_id=each.customer_id, source=each.source,
        quantity=each.quantity, total=abs(each.total).quantize(_CENT),
        created_at=at.replace(microsecond=at.microsecond // 1000 * 1000),
    )  # fmt: skip
