"""What the API's own documentation says: bodies, answers, an example of each."""

from datetime import UTC, datetime
from typing import Any

from bike_assets.ingest.orders.limits import BODY_S, MAX_BYTES
from bike_assets.ingest.orders.reading import MAX_ORDERS, OrderIn

ABOUT = f"""\
An order is stored once Kafka has committed it; only then it is answered with 2xx. Without an answer, or with 503, send
it again: the same `order_id`, `version` and content are stored once, however often they come.

A **later version corrects**: the highest version of an order counts, whenever it comes. The same `order_id` and
`version` with another content is refused with 409, which names the field that differs.

A list is stored whole or not at all: up to {MAX_ORDERS:,} orders, {MAX_BYTES:,} bytes, sent within {BODY_S:g} s.
"""

EXAMPLE: dict[str, Any] = {
    "order_id": "A-1001", "version": 1, "customer_id": "c-17", "source": "shop", "quantity": 2, "total": "25.80",
    "created_at": f"{datetime.now(UTC):%Y-%m-%dT00:00:00Z}",
}  # fmt: skip

_ORDER = OrderIn.model_json_schema()
_MANY = {"type": "array", "minItems": 1, "maxItems": MAX_ORDERS, "items": _ORDER}

OPENAPI: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"oneOf": [_ORDER, _MANY]},
                "examples": {
                    "one": {"summary": "An order", "value": EXAMPLE},
                    "correction": {
                        "summary": "A correction of it",
                        "value": EXAMPLE | {"version": 2, "quantity": 1, "total": "12.90"},
                    },
                    "many": {
                        "summary": "Orders together",
                        "value": [EXAMPLE, EXAMPLE | {"order_id": "A-1002", "source": "app", "total": 12.9}],
                    },
                },
            }
        },
    }
}


def _answer(says: str, example: dict[str, Any]) -> dict[str, Any]:
    return {"description": says, "content": {"application/json": {"example": example}}}


def _refusal(says: str, field: str, problem: str) -> dict[str, Any]:
    error = f"{field}: {problem}" if field else problem
    return _answer(says, {"error": error, "problems": [{"field": field, "says": problem}]})


RESPONSES: dict[int | str, dict[str, Any]] = {
    200: _answer("All of it was known already.", {"stored": 0, "repeated": 1}),
    201: _answer("Stored.", {"stored": 1, "repeated": 0}),
    400: _refusal("No JSON, or a name that stands twice.", "total", "The name stands twice in one object."),
    408: _refusal("The body came too slowly.", "", f"The body did not come within {BODY_S:g} s."),
    409: _refusal("A version that is known with another content.", "total",
                  "Version 1 of order A-1001 is known with another total: a correction is a new version."),
    413: _refusal("Too large.", "", f"A body may have {MAX_BYTES:,} bytes: send fewer orders at once."),
    415: _refusal("No JSON.", "", "The body is to be JSON, and its content-type application/json."),
    422: _refusal("A value that cannot be.", "[3].quantity", "Input should be greater than or equal to 0."),
    429: _refusal("Over the rate of a client, for which refused requests count; Retry-After says when to go on.", "",
                  "More than 50000 orders a second."),
    503: _refusal("Kafka does not answer, or too many ask at once; send it again.", "",
                  "Kafka did not confirm. Send it again."),
}  # fmt: skip
