"""The same systems once by pybikes: run by an interpreter that has it. Prints its CPU and wall seconds as JSON.

The URLs come on standard input. One system after the other, by one session.
"""

import json
import sys
import time
from typing import Any


def main() -> None:
    """Update every system; the feeds are given, so that it need not look for them each time."""
    from pybikes.gbfs import Gbfs  # type: ignore[import-not-found]
    from pybikes.utils import PyBikesScraper  # type: ignore[import-not-found]

    systems = [_system(Gbfs, url) for url in sys.stdin.read().split()]
    scraper = PyBikesScraper()
    wall, cpu = time.perf_counter(), time.process_time()
    for each in systems:
        each.update(scraper)
    told = {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall,
            "stations": sum(len(each.stations) for each in systems)}
    print(json.dumps(told))


def _system(made_by: Any, url: str) -> Any:
    base = url.removesuffix("gbfs")
    feeds = {name: f"{base}{name}" for name in ("station_information", "station_status", "vehicle_types")}
    return made_by(url, {"name": url}, url, **feeds)


if __name__ == "__main__":
    main()
