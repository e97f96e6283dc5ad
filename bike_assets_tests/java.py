"""A Java for tests, whose JVMs live for seconds: what they compile, they compile once and quickly."""

import os
import shlex
from pathlib import Path

from bike_assets.local.java import java_home

_SCRIPT = """\
#!/bin/sh
# Which cache a JVM's classes are in is seen by its main class.
for argument; do
  case "$argument" in
    org.apache.spark.launcher.Main) break ;;
    org.apache.spark.deploy.SparkSubmit) cache={caches}/spark.aot; break ;;
    kafka.Kafka) cache={caches}/kafka.aot; break ;;
  esac
done
{use}
exec {java} -XX:TieredStopAtLevel=1 "$@"
"""
# What the JVM has to say of a cache that is of no use to it would stand on standard output.
_FROM_CACHE = '[ -f "$cache" ] && set -- -XX:AOTCache="$cache" -Xlog:disable -Xlog:all=error:stderr "$@"'
_INTO_CACHE = '[ -n "$cache" ] && set -- -XX:AOTCacheOutput="$cache" "$@"'


def short_lived_java(home: Path) -> Path:
    """A JAVA_HOME that runs the product's own Java without its optimising compiler.

    That compiler takes half of the CPU of a Spark that is started for a few small batches. Where `caches.py` has made
    a cache of loaded classes, it is used: without it the loading of classes takes half of what is left. One of other
    jars or of another Java the JVM passes over.
    """
    return _java(home / "java-of-tests", home, caches(home), _FROM_CACHE)


def caching_java(home: Path, made: Path) -> Path:
    """A JAVA_HOME under `made` whose JVMs write their cache into it, as they end."""
    return _java(made, home, made, _INTO_CACHE)


def caches(home: Path) -> Path:
    """Where the caches are kept."""
    return home / "java-of-tests"


def _java(made: Path, home: Path, kept: Path, use: str) -> Path:
    script = made / "bin" / "java"
    script.parent.mkdir(parents=True, exist_ok=True)
    own = shlex.quote(str(java_home(None, home) / "bin" / "java"))
    aside = script.with_name(f".java.{os.getpid()}")
    aside.write_text(_SCRIPT.format(caches=shlex.quote(str(kept)), use=use, java=own))
    aside.chmod(0o755)
    aside.replace(script)
    return made
