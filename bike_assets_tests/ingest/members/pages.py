"""A members API in memory: people in a list, answered a page at a time."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bike_assets.model.answers import Answer
from bike_assets.model.messages import Outcome
from bike_assets.simulator.members import person

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
URL = "http://127.0.0.1:1/api/?seed=s"


def people(count: int, first: int = 0) -> list[dict[str, Any]]:
    return [person("s", number, NOON) for number in range(first, first + count)]


@dataclass
class Api:
    """Whom it lists, and which pages it was asked for. `most`: so many rows has a page at most, whatever is asked for.

    `no_page`: with which status it answers to a page behind its last; by default with an empty one.
    """

    people: list[Any]
    asked: list[int] = field(default_factory=list)
    is_down: bool = False
    most: int = 5_000
    no_page: int | None = None

    def __call__(self, page: int, results: int) -> Answer:
        self.asked.append(page)
        if self.is_down:
            return Answer("members", "members", NOON, "r", failure=Outcome.TIMEOUT, error="no answer")
        results = min(results, self.most)
        rows = self.people[(page - 1) * results : page * results]
        if self.no_page is not None and not rows:
            failure, said = Outcome.HTTP_ERROR, f"status {self.no_page}"
            return Answer("members", "members", NOON, "r", http_status=self.no_page, failure=failure, error=said)
        body = {"results": rows, "info": {"seed": "s", "results": len(rows), "page": page, "version": "1.4"}}
        return Answer("members", "members", NOON, "r", http_status=200, body=json.dumps(body).encode())
