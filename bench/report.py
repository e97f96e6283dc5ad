"""Results on standard output, one JSON line each; progress on standard error."""

import json
import os
import sys
from collections.abc import Sequence
from statistics import quantiles
from typing import Any

CORES = len(os.sched_getaffinity(0))
"""Those that the bench may use, before any part of it was pinned to one."""


def say(words: str) -> None:
    """Tell whoever waits what is being done."""
    print(words, file=sys.stderr, flush=True)


def result(bench: str, **figures: Any) -> None:
    """One result, with the number of cores."""
    line = {"bench": bench, "cores": CORES, **figures}
    print(json.dumps(line), flush=True)


def percentiles(name: str, values: Sequence[float]) -> dict[str, float]:
    """`<name>_p50_s` and `<name>_p95_s`, in seconds; of two values at least."""
    cuts = quantiles(values, n=20, method="inclusive")
    return {f"{name}_p50_s": round(cuts[9], 3), f"{name}_p95_s": round(cuts[18], 3)}
