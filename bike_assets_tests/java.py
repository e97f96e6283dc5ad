"""A Java for tests, whose JVMs live for seconds: what they compile, they compile once and quickly."""

import os
import shlex
from pathlib import Path

from bike_assets.local.java import java_home


def short_lived_java(home: Path) -> Path:
    """A JAVA_HOME that runs the product's own Java without its optimising compiler.

    That compiler takes half of the CPU of a Spark that is started for a few small batches.
    """
    made = home / "java-of-tests"
    script = made / "bin" / "java"
    script.parent.mkdir(parents=True, exist_ok=True)
    aside = script.with_name(f".java.{os.getpid()}")
    own = shlex.quote(str(java_home(None, home) / "bin" / "java"))
    aside.write_text(f'#!/bin/sh\nexec {own} -XX:TieredStopAtLevel=1 "$@"\n')
    aside.chmod(0o755)
    aside.replace(script)
    return made
