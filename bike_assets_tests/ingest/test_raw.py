"""raw/ keeps the answers themselves, hour by hour, and never holds up a poll."""

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bike_assets.ingest import raw
from bike_assets.ingest.raw import RawStore, kept_files, prune
from bike_assets.ingest.recordings import encode_line, read_recording
from bike_assets.model.answers import Answer
from bike_assets_tests.ingest.builders import after
from bike_assets_tests.sources.builders import answer

BODY = answer("gbfs.station_status", b'{"data": {"stations": []}}')


def store(root: Path, keep_bytes: int = 10**9) -> RawStore:
    # The made answers are of a day of their own: all days are kept.
    return RawStore(root, 100_000, keep_bytes)


def kept_by(root: Path, answers: list[Answer]) -> list[Path]:
    own = store(root)
    own.start()
    for each in answers:
        own.keep(each)
    own.close()
    return sorted(root.glob("*/*.jsonl.zst"))


def test_answers_are_kept_in_a_file_of_their_hour(tmp_path: Path) -> None:
    answers = [replace(BODY, fetched_at=after(minutes=minute)) for minute in (0, 59, 60, 720)]
    files = kept_by(tmp_path, answers)
    assert [(file.parent.name, file.name[:2]) for file in files] == [
        ("2026-06-01", "12"), ("2026-06-01", "13"), ("2026-06-02", "00")]
    assert [each for file in files for each in read_recording(file)] == answers


def test_a_new_process_begins_a_new_file(tmp_path: Path) -> None:
    kept_by(tmp_path, [BODY])
    assert len(kept_by(tmp_path, [BODY])) == 2


def test_a_file_torn_by_a_kill_is_read_up_to_the_tear(tmp_path: Path) -> None:
    own = store(tmp_path)
    for number in range(2):
        own._append(BODY.fetched_at, encode_line(replace(BODY, request_id=str(number))))
    [file] = tmp_path.glob("*/*")
    os.truncate(file, file.stat().st_size - 5)
    assert [each.request_id for each in read_recording(file)] == ["0"]


def test_kept_files_stand_in_the_order_of_time_whenever_their_writers_began(tmp_path: Path) -> None:
    """A process that began at 23:50 writes the next day's first file, and one that began at 0:10 the second."""
    for started, minutes in (("235000", (0, 1)), ("001000", (10, 11)), ("001000", (60,))):
        own = store(tmp_path)
        own._started = started
        for minute in minutes:
            at = after(minutes=minute)
            own._append(at.replace(minute=0), encode_line(replace(BODY, fetched_at=at)))
    (tmp_path / "2026-06-01" / "12-000000.jsonl.zst").touch()  # killed before anything was kept
    [first, second, third] = kept_files(tmp_path)
    read = [answer.fetched_at for file in (first, second, third) for answer in read_recording(file)]
    assert read == [after(minutes=minute) for minute in (0, 1, 10, 11, 60)]
    assert kept_files(tmp_path, after(minutes=59)) == [first, second, third]
    assert kept_files(tmp_path, after(minutes=60)) == [third]


def test_a_full_queue_drops_and_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw, "QUEUE_ANSWERS", 2)
    own = store(tmp_path)  # not started: a disk that does not take anything
    for _ in range(5):
        own.keep(BODY)
    assert own.dropped == 3


def made(root: Path, *names: str) -> list[Path]:
    files = [root / name for name in names]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x" * 100)
    return files


def test_days_that_are_over_go(tmp_path: Path) -> None:
    old, kept = made(tmp_path, "2026-05-24/23-1.jsonl.zst", "2026-05-25/00-1.jsonl.zst")
    assert prune(tmp_path, after(), 7, 10**9) == [old]
    assert (old.parent.exists(), kept.exists()) == (False, True)


def test_the_oldest_go_until_the_rest_fits(tmp_path: Path) -> None:
    files = made(tmp_path, *(f"2026-05-{day}/12-1.jsonl.zst" for day in (29, 30, 31)))
    assert prune(tmp_path, after() + timedelta(hours=1), 7, 250) == files[:1]
    assert prune(tmp_path, after(), 7, 200) == []
