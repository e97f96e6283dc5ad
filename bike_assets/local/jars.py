"""The jars of Spark's extensions and of the broker: named in `jars.lock`, fetched once, and checked.

Ivy, a jar inside pyspark, fetches them: it knows the public registry, so no address stands here.
"""

import hashlib
import json
import subprocess
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, get_args
from xml.sax.saxutils import quoteattr

from bike_assets.files import write_whole
from bike_assets.local.java import trust_store_arguments
from bike_assets.model.errors import SomethingMissing

LOCK = Path(__file__).with_name("jars.lock")

Set = Literal["spark", "kafka", "cassandra"]
"""Cassandra's are in a lock of the tests: nothing of ours starts one."""
OnProgress = Callable[[int, int], None]

_POLL_SECONDS = 0.2
_ATTEMPTS = 2

# Each artifact is locked, so its POM and the registry's own checksums would be requests for nothing.
# "all": the two sets hold different versions of kafka-clients, and neither shall evict the other.
_IVY_SETTINGS = """\
<ivysettings>
  <settings defaultResolver="public" defaultConflictManager="all"/>
  <timeout-constraints>
    <timeout-constraint name="patient" connectionTimeout="10000" readTimeout="30000"/>
  </timeout-constraints>
  <resolvers>
    <ibiblio name="public" m2compatible="true" usepoms="false" useMavenMetadata="false" checksums=""
             timeoutConstraint="patient"/>
  </resolvers>
</ivysettings>
"""
_IVY_MODULE = """\
<ivy-module version="2.0">
  <info organisation="bike_assets" module="jars"/>
  <configurations><conf name="default"/></configurations>
  <dependencies defaultconfmapping="*->default">
{dependencies}
  </dependencies>
</ivy-module>
"""


@dataclass(frozen=True, slots=True)
class Jar:
    """A line of the lock."""

    group: str
    artifact: str
    version: str
    sha256: str
    set: Set

    @property
    def file_name(self) -> str:
        return f"{self.artifact}-{self.version}.jar"

    @property
    def place(self) -> str:
        """Where it lies, below `<home>/jars`."""
        return f"{self.set}/{self.file_name}"


@dataclass(frozen=True, slots=True)
class Jars:
    """The class paths."""

    spark: list[Path]
    kafka: list[Path]
    cassandra: list[Path] = field(default_factory=list)


def ensure_jars(home: Path, java: Path, on_progress: OnProgress | None = None, lock: Path = LOCK) -> Jars:
    """The jars of the lock below `<home>/jars`, fetched where they are missing; else nothing is started.

    `java` is a JAVA_HOME. `on_progress(done, total)` counts the jars that had to be fetched.
    Raises SomethingMissing when the registry does not answer, or answers with other bytes.
    """
    locked = _read_lock(lock)
    stamps = _stamps(home)
    unverified = [jar for jar in locked if not _is_verified(home, jar, stamps)]
    missing = [jar for jar in unverified if not _has_right_hash(home / "jars" / jar.place, jar)]
    if missing:
        with _directory_for_fetching(home) as scratch:
            _fetch(scratch, missing, java, trust_store_arguments(home), on_progress)
            _accept(home, scratch / "got", missing)
    _remember(home, locked)
    paths = {name: [home / "jars" / jar.place for jar in locked if jar.set == name] for name in get_args(Set)}
    return Jars(**paths)


def missing_jars(home: Path) -> list[Jar]:
    """The jars of the lock that are not there and checked."""
    stamps = _stamps(home)
    return [jar for jar in _read_lock(LOCK) if not _is_verified(home, jar, stamps)]


def _read_lock(lock: Path) -> list[Jar]:
    sets = tomllib.loads(lock.read_text())
    locked = []
    for name in get_args(Set):
        for coordinates, sha256 in sets.get(name, {}).items():
            group, artifact, version = coordinates.split(":")
            locked.append(Jar(group, artifact, version, sha256, name))
    return locked


def _fetch(
    scratch: Path, jars: list[Jar], java: Path, java_arguments: list[str], on_progress: OnProgress | None
) -> None:
    """Let Ivy put the jars into `<scratch>/got`; those that did not come are simply not there."""
    dependencies = "\n".join(
        f"    <dependency org={quoteattr(jar.group)} name={quoteattr(jar.artifact)} "
        f'rev={quoteattr(jar.version)} transitive="false"/>'
        for jar in jars
    )
    (scratch / "ivy.xml").write_text(_IVY_MODULE.format(dependencies=dependencies))
    (scratch / "ivysettings.xml").write_text(_IVY_SETTINGS)
    # All paths are below the scratch directory, Ivy's home too: a ~/.ivy2 changes nothing.
    command = [
        str(java / "bin" / "java"), *java_arguments, f"-Divy.home={scratch / 'ivy-home'}",
        "-jar", str(_ivy_jar()),
        "-settings", "ivysettings.xml", "-ivy", "ivy.xml", "-cache", "cache",
        "-retrieve", "got/[artifact]-[revision].[ext]",
    ]  # fmt: skip
    for _ in range(_ATTEMPTS):  # what has come stays in the cache: a second try asks for the rest
        with (scratch / "ivy.log").open("ab") as log:
            ivy = subprocess.Popen(command, cwd=scratch, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            _watch(ivy, scratch, len(jars), on_progress or _silently)
        finally:
            ivy.kill()
            ivy.wait()
        if all((scratch / "got" / jar.file_name).exists() for jar in jars):
            return


def _watch(ivy: subprocess.Popen[bytes], scratch: Path, total: int, on_progress: OnProgress) -> None:
    while ivy.poll() is None:
        on_progress(_arrived(scratch), total)
        with suppress(subprocess.TimeoutExpired):
            ivy.wait(_POLL_SECONDS)
    on_progress(_arrived(scratch), total)


def _arrived(scratch: Path) -> int:
    return sum(1 for _ in (scratch / "cache").glob("*/*/*/*.jar"))


def _silently(done: int, total: int) -> None:
    pass


def _accept(home: Path, got: Path, jars: list[Jar]) -> None:
    """Move what came into place, if it is what the lock names; the good ones stay also when others fail."""
    wrong, absent = [], []
    for jar in jars:
        file = got / jar.file_name
        if not file.exists():
            absent.append(jar)
        elif not _has_right_hash(file, jar):
            wrong.append(jar)
        else:
            place = home / "jars" / jar.place
            place.parent.mkdir(parents=True, exist_ok=True)
            file.replace(place)
    if wrong:
        raise SomethingMissing(
            f"{_some(wrong)} came from the registry with bytes other than those that jars.lock names, and "
            "was not kept. Something between here and the registry may have changed it: try another network."
        )
    if absent:
        raise SomethingMissing(
            f"{_some(absent)} of {len(jars)} jars to fetch did not come: the package registry could not be "
            f"reached ({_last_problem(got.parent)}). Check the network, then try again; what came is kept."
        )


def _some(jars: list[Jar]) -> str:
    first = jars[0].file_name
    return first if len(jars) == 1 else f"{first} and {len(jars) - 1} more"


def _last_problem(scratch: Path) -> str:
    """The last thing that Ivy or Java complained of, in its own words."""
    lines = (scratch / "ivy.log").read_text(errors="replace").splitlines()
    problems = [line.strip() for line in lines if "xception" in line or "not found" in line]
    return problems[-1][:200] if problems else "it said nothing"


def _has_right_hash(file: Path, jar: Jar) -> bool:
    if not file.exists():
        return False
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest() == jar.sha256


def _stamp_file(home: Path) -> Path:
    return home / "jars" / "verified.json"


def _stamps(home: Path) -> dict[str, list[object]]:
    """What was hashed before: by place, the size, the modification time in ns, and the hash it had."""
    try:
        found = json.loads(_stamp_file(home).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _stamp(home: Path, jar: Jar) -> list[object]:
    status = (home / "jars" / jar.place).stat()
    return [status.st_size, status.st_mtime_ns, jar.sha256]


def _is_verified(home: Path, jar: Jar, stamps: dict[str, list[object]]) -> bool:
    """Hashing 60 MB takes a quarter of a second at each start; comparing size and time takes nothing."""
    try:
        return stamps.get(jar.place) == _stamp(home, jar)
    except OSError:
        return False


def _remember(home: Path, jars: list[Jar]) -> None:
    stamps = {jar.place: _stamp(home, jar) for jar in jars}
    if stamps == _stamps(home):
        return
    write_whole(_stamp_file(home), json.dumps(stamps, indent=1).encode())


@contextmanager
def _directory_for_fetching(home: Path) -> Iterator[Path]:
    """A scratch directory on the file system of `home`, so that a finished jar can be renamed into place."""
    (home / "jars").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=home / "jars") as scratch:
        yield Path(scratch).absolute()


def _ivy_jar() -> Path:
    pyspark = find_spec("pyspark")  # found, not imported: importing it takes a second
    jars = Path(pyspark.origin).parent / "jars" if pyspark and pyspark.origin else Path()
    found = sorted(jars.glob("ivy-*.jar"))
    if not found:
        raise SomethingMissing("pyspark, which brings the jar that fetches jars, is missing: `make setup`.")
    return found[-1]
