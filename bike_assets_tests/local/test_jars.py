"""The jars are those of the lock, fetched once. Ivy is the real one where the network has a part in it."""

import hashlib
import os
from pathlib import Path

import pytest

from bike_assets.local.jars import Jars, ensure_jars
from bike_assets.model.errors import SomethingMissing
from bike_assets_tests.conftest import HOME

NO_JAVA = Path("there", "is", "no", "java", "here")
RIGHT, WRONG = b"the right bytes", b"the wrong bytes"


def lock_of_one(directory: Path) -> Path:
    lock = directory / "jars.lock"
    sha256 = hashlib.sha256(RIGHT).hexdigest()
    lock.write_text(f'[spark]\n"org.example:thing_2.13:1.0" = "{sha256}"\n[kafka]\n')
    return lock


def stand_in_java(directory: Path, brings: bytes) -> Path:
    """Not a Java: a script that does what Java with Ivy does, with one file of the bytes given."""
    script = directory / "stand-in" / "bin" / "java"
    script.parent.mkdir(parents=True)
    script.write_text(f"#!/bin/sh\nmkdir -p got\nprintf '%s' '{brings.decode()}' > got/thing_2.13-1.0.jar\n")
    script.chmod(0o755)
    return script.parents[1]


def files_below(directory: Path) -> set[str]:
    return {file.name for file in directory.rglob("*") if file.is_file()}


def test_every_jar_is_there_with_the_bytes_that_the_lock_names(jars: Jars) -> None:
    # The stamp is ignored here: with an empty one every file is hashed.
    stamp = HOME / "jars" / "verified.json"
    kept = stamp.read_bytes()
    stamp.write_text("{}")
    assert ensure_jars(HOME, NO_JAVA) == jars
    assert stamp.read_bytes() == kept


def test_the_second_call_starts_no_java(jars: Jars) -> None:
    assert ensure_jars(HOME, NO_JAVA) == jars


def test_a_fetched_jar_lies_in_its_set_and_is_counted(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    java = stand_in_java(tmp_path, RIGHT)
    got = ensure_jars(tmp_path, java, lambda *counts: seen.append(counts), lock_of_one(tmp_path))
    assert got == Jars(spark=[tmp_path / "jars" / "spark" / "thing_2.13-1.0.jar"], kafka=[])
    assert got.spark[0].read_bytes() == RIGHT
    assert {total for _, total in seen} == {1}
    assert files_below(tmp_path / "jars") == {"thing_2.13-1.0.jar", "verified.json"}, "scratch files stayed"


def test_a_jar_with_other_bytes_is_refused_and_not_kept(tmp_path: Path) -> None:
    java = stand_in_java(tmp_path, WRONG)
    with pytest.raises(SomethingMissing, match=r"^thing_2\.13-1\.0\.jar came .* bytes other than"):
        ensure_jars(tmp_path, java, lock=lock_of_one(tmp_path))
    assert files_below(tmp_path / "jars") == set()


def test_a_jar_that_was_changed_on_the_disk_is_fetched_anew(tmp_path: Path) -> None:
    java, lock = stand_in_java(tmp_path, RIGHT), lock_of_one(tmp_path)
    jar = ensure_jars(tmp_path, java, lock=lock).spark[0]
    jar.write_bytes(WRONG)
    os.utime(jar, ns=(0, 0))
    ensure_jars(tmp_path, java, lock=lock)
    assert jar.read_bytes() == RIGHT


def test_a_new_hash_in_the_lock_is_not_hidden_by_the_stamp(tmp_path: Path) -> None:
    java, lock = stand_in_java(tmp_path, RIGHT), lock_of_one(tmp_path)
    ensure_jars(tmp_path, java, lock=lock)
    lock.write_text(lock.read_text().replace(hashlib.sha256(RIGHT).hexdigest(), "0" * 64))
    with pytest.raises(SomethingMissing, match="bytes other than"):
        ensure_jars(tmp_path, java, lock=lock)


def test_without_a_network_one_sentence_says_so(
    tmp_path: Path, java: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing listens on port 1: the real Ivy finds no way out, as on a machine without a network.
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=1")
    with pytest.raises(SomethingMissing, match=r"registry could not be reached .* Check the network"):
        ensure_jars(tmp_path, java, lock=lock_of_one(tmp_path))
    assert files_below(tmp_path / "jars") == set()
