"""A code location of its own: a job whose runs wait for a file, and note their processes; they are started as ours."""

import os
import subprocess
import time
from pathlib import Path

import dagster as dg

from bike_assets.defs.executor import in_one_process
from bike_assets.defs.warm import fork_runs

HERE = Path(os.environ["BIKE_HOME"])


@dg.op
def wait() -> None:
    print("a word of the run")  # noqa: T201
    subprocess.run(["echo", "and of what it started"], check=True)
    with (HERE / "workers").open("a") as file:
        file.write(f"{os.getpid()}\n")
    while not (HERE / "go").exists():
        time.sleep(0.05)


@dg.job
def waiting() -> None:
    wait()


defs = dg.Definitions(jobs=[waiting], executor=in_one_process)

fork_runs()
