"""`raw/`: the answers themselves, hourly files for some days, off the acknowledged path."""

import queue
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog
import zstandard

from bike_assets.ingest.recordings import encode_line, read_recording
from bike_assets.model.answers import Answer

log = structlog.get_logger()

FLUSH_S = 2.0
QUEUE_ANSWERS = 2_000
QUEUE_BYTES = 128_000_000
"""Of bodies that wait for the disk."""
_COMPRESSION_LEVEL = 6


class RawStore:
    """Keeps answers in `<root>/<date>/<hour>-<start>.jsonl.zst`.

    A full queue drops the newest answer and counts it: raw files never hold up a poll. Every flush ends
    a compressed frame, so that a kill loses two seconds at the most; a new process starts a new file,
    because nothing can be appended to a torn frame.
    """

    def __init__(self, root: Path, keep_days: int, keep_bytes: int) -> None:
        self._root = root
        self._keep_days = keep_days
        self._keep_bytes = keep_bytes
        self._queue: queue.Queue[Answer | None] = queue.Queue()
        self._started = datetime.now(UTC).strftime("%H%M%S%f")
        self._thread = threading.Thread(target=self._run, name="raw", daemon=True)
        self.dropped = 0

    def start(self) -> None:
        self._thread.start()

    def keep(self, answer: Answer) -> None:
        """Hand an answer over; never waits."""
        if not self._has_room(len(answer.body or b"")):
            self.dropped += 1
            log.warning("raw answer dropped", system_id=answer.system_id, dropped=self.dropped)
            return
        self._queue.put(answer)

    def _has_room(self, size: int) -> bool:
        """Whether the disk keeps up: a few too many, of as many threads as fetch, do no harm."""
        with self._queue.mutex:
            waiting = [len(each.body or b"") for each in self._queue.queue if each is not None]
        return len(waiting) < QUEUE_ANSWERS and sum(waiting) + size <= QUEUE_BYTES

    def close(self) -> None:
        """Write what is queued and end."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (batch := self._next_batch()) is not None:
            for hour, answers in _by_hour(batch).items():
                try:
                    self._append(hour, b"".join(map(encode_line, answers)))
                except Exception as err:
                    # A full disk, or an answer that cannot be written down, costs raw answers and never a poll.
                    self.dropped += len(answers)
                    log.error("raw answers not kept", dropped=self.dropped, reason=str(err))

    def _next_batch(self) -> list[Answer] | None:
        """The answers of the next FLUSH_S; None at the end."""
        first = self._queue.get()
        if first is None:
            return None
        batch, ends = [first], datetime.now(UTC) + timedelta(seconds=FLUSH_S)
        while (left := (ends - datetime.now(UTC)).total_seconds()) > 0:
            try:
                answer = self._queue.get(timeout=left)
            except queue.Empty:
                break
            if answer is None:
                self._queue.put(None)
                break
            batch.append(answer)
        return batch

    def _append(self, hour: datetime, lines: bytes) -> None:
        path = self._root / f"{hour:%Y-%m-%d}" / f"{hour:%H}-{self._started}.jsonl.zst"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            prune(self._root, datetime.now(UTC), self._keep_days, self._keep_bytes)
        frame = zstandard.ZstdCompressor(level=_COMPRESSION_LEVEL).compress(lines)
        with path.open("ab") as file:
            file.write(frame)


def _by_hour(answers: list[Answer]) -> dict[datetime, list[Answer]]:
    hours: dict[datetime, list[Answer]] = {}
    for answer in answers:
        hours.setdefault(answer.fetched_at.replace(minute=0, second=0, microsecond=0), []).append(answer)
    return hours


def kept_files(root: Path, since: datetime | None = None) -> list[Path]:
    """The files of the hour of `since` and of those after it, in the order of time; all without it.

    Their names tell at what time of a day the process began that wrote them, but not of which day: the files of an
    hour are put in the order of their first answers. One in which nothing came to be kept is left out.
    """
    first = "" if since is None else f"{since.astimezone(UTC):%Y-%m-%d/%H}"
    by_first: list[tuple[str, datetime, Path]] = []
    for file in root.glob("*/*.jsonl.zst"):
        hour = f"{file.parent.name}/{file.name[:2]}"
        if hour >= first and (answer := next(read_recording(file), None)) is not None:
            by_first.append((hour, answer.fetched_at, file))
    return [file for _, _, file in sorted(by_first)]


def prune(root: Path, now: datetime, keep_days: int, keep_bytes: int) -> list[Path]:
    """Delete files older than `keep_days`, then the oldest until `keep_bytes` are left."""
    files = sorted(root.glob("*/*.jsonl.zst"))
    oldest_kept = f"{now - timedelta(days=keep_days):%Y-%m-%d}"
    gone = [file for file in files if file.parent.name < oldest_kept]
    kept = files[len(gone) :]
    size = sum(file.stat().st_size for file in kept)
    while kept and size > keep_bytes:
        size -= kept[0].stat().st_size
        gone.append(kept.pop(0))
    for file in gone:
        file.unlink()
        if not any(file.parent.iterdir()):
            file.parent.rmdir()
    return gone
