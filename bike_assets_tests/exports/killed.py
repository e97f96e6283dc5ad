"""An export that dies at a place that is told: `python -m ...killed NAME LAKE PLACE`, the address on standard input."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from bike_assets.exports import serve
from bike_assets.exports.databases import database
from bike_assets.exports.days import Part

KILLED = 137


def dying(rows: pa.RecordBatchReader) -> pa.RecordBatchReader:
    """The first half of the rows, and then the end of the process."""

    def batches() -> Iterator[pa.RecordBatch]:
        table = rows.read_all()
        yield from table.slice(0, len(table) // 2).to_batches()
        os._exit(KILLED)

    return pa.RecordBatchReader.from_batches(rows.schema, batches())


def main(name: str, lake: str, place: str) -> None:
    """Export all days, and die in the first of a fact: while it is loaded, or when it stands beside."""
    target: Any = database(name, sys.stdin.read().strip())
    put_day = target.put_day

    def put(part: Part, rows: pa.RecordBatchReader) -> int:
        if place == "loading":
            return int(put_day(part, dying(rows)))
        target._note = lambda *_: os._exit(KILLED)
        return int(put_day(part, rows))

    target.put_day = put
    serve.serve(Path(lake), target, None)


if __name__ == "__main__":
    main(*sys.argv[1:])
