"""What the warm process loads, by loading this: what each run would load by itself, see `warm.py`.

It only loads. Nothing here may connect, open, or start a thread: a fork has only the one that forked. The exception are
the threads of what knows of forks, and starts its own anew where it needs them: numpy's OpenBLAS, and the allocator of
pyarrow and deltalake.
"""

import os
import signal
import sys
from contextlib import suppress
from importlib import import_module

PID = os.getpid()
"""The process that has loaded this."""

LOADED = (
    # How a run begins: the commands of Dagster, whose code server started it, and the instance's record.
    "dagster._cli",
    "dagster._grpc.impl",
    "bike_assets.defs.storage",
    "bike_assets.defs.launcher",
    "bike_assets.definitions",
    # What its steps load where they use it.
    "dagster_pyspark",
    "pyspark.sql.connect.session",
    "bike_assets.lake.duck",
    "bike_assets.lake.unread",
    "bike_assets.warehouse.build",
    "bike_assets.quality.warehouse",
    "bike_assets.quality.vehicles",
)


def _load() -> None:
    for name in LOADED:
        with suppress(Exception):  # a run that needs it loads it, and says what is wrong with it
            import_module(name)


if sys.argv[0] == "-c":  # in the warm process; a run that was not forked from it loads what it needs
    # What ends a home's services comes to all of their group: runs end in order, and this goes with the last of them.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _load()
