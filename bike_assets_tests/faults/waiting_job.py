"""A code location of its own: a job whose runs wait for a file, and note their processes."""

import os
import time
from pathlib import Path

import dagster as dg

HERE = Path(os.environ["BIKE_HOME"])


@dg.op
def wait() -> None:
    with (HERE / "workers").open("a") as file:
        file.write(f"{os.getpid()}\n")
    while not (HERE / "go").exists():
        time.sleep(0.05)


@dg.job(executor_def=dg.in_process_executor)
def waiting() -> None:
    wait()


defs = dg.Definitions(jobs=[waiting])
