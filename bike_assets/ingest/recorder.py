"""Answers of live systems into a recording: asked as the poller asks, committed nowhere."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from bike_assets.ingest.asking import SourceAsker
from bike_assets.model.answers import Answer

Keep = Callable[[Answer], None]


def record(askers: Sequence[SourceAsker], keep: Keep, stop: threading.Event) -> None:
    """Ask every source in turn after turn, each at its own pace, until `stop`; `keep` is called by one at a time.

    Nothing is asked by its ETag: each answer stands in the recording whole.
    """
    turn = threading.Lock()

    def follow(asker: SourceAsker) -> None:
        while not stop.is_set():
            for answer in asker.ask():
                with turn:
                    keep(answer)
            stop.wait(asker.poll_seconds)

    with ThreadPoolExecutor(len(askers), "record") as pool:
        for done in [pool.submit(_or_stop(follow, stop), asker) for asker in askers]:
            done.result()


def _or_stop(follow: Callable[[SourceAsker], None], stop: threading.Event) -> Callable[[SourceAsker], None]:
    """Where one fails, as on a full disk, the others end too."""

    def guarded(asker: SourceAsker) -> None:
        try:
            follow(asker)
        except BaseException:
            stop.set()
            raise

    return guarded
