"""`python -m bike_assets_tests.caches`: what the JVMs of the tests load, kept once for all of them (JEP 483, JEP 514).

A broker and a Spark go through the whole path once, and each writes down which classes it loaded; the tests' JVMs map
these as they are. It takes a minute, and every Spark of the tests starts in half of its CPU time.
"""

import tempfile
from pathlib import Path

from bike_assets_tests.conftest import CHECKOUT, HOME
from bike_assets_tests.java import caches, caching_java
from bike_assets_tests.journeys.homes import Home, home, is_broker_up, is_streaming, wait_until

RECORDING = CHECKOUT / "bike_assets" / "data" / "recordings" / "besancon_jcdecaux_v1_2014-05-22.jsonl.xz"
DAY = "2014-05-22"
READY_S = WRITTEN_S = 300.0
NAMES = ("spark.aot", "kafka.aot")


def main() -> None:
    """Make both caches, in place of those that are there."""
    caches(HOME).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bike-caches-", dir=caches(HOME)) as directory:
        java = caching_java(HOME, Path(directory, "java"))
        with home(Path(directory), JAVA_HOME=str(java), FIRST_DAY=DAY) as made:
            through_all(made)
            wait_until(lambda: not made.processes(), WRITTEN_S, "the JVMs have written what they loaded")
        for name in NAMES:
            (java / name).replace(caches(HOME) / name)


def through_all(made: Home) -> None:
    """A day through broker, stream and warehouse."""
    with (
        made.running("run", "broker", until=lambda: is_broker_up(made), within_s=READY_S),
        made.running("run", "stream", until=lambda: True) as stream,
    ):
        wait_until(lambda: is_streaming(made, stream.pid), READY_S, "the stream is at work")
        made.answer("replay", RECORDING)
        made.answer("drain")
        made.answer("build", DAY)


if __name__ == "__main__":
    main()
