"""One round of polls without a poller: ask, commit, done."""

from collections.abc import Callable, Sequence

from bike_assets.ingest.asking import SourceAsker
from bike_assets.ingest.raw import RawStore
from bike_assets.ingest.replay import Writer
from bike_assets.ingest.routing import expected_parts
from bike_assets.model.messages import Poll
from bike_assets.model.topics import partition_of


def poll_once(
    askers: Sequence[SourceAsker], open_writer: Callable[[int], Writer], partitions: int, raw: RawStore
) -> list[Poll]:
    """Ask each source once; each answer is kept and committed. The poll records, in that order."""
    writers: dict[int, Writer] = {}
    polls = []
    try:
        for asker in askers:
            for answer in asker.ask():
                raw.keep(answer)
                for part in expected_parts(answer, asker.system_ids):
                    place = partition_of(part.system_id, partitions)
                    if place not in writers:
                        writers[place] = open_writer(place)
                        writers[place].open()
                    polls += writers[place].write([part])
    finally:
        for writer in writers.values():
            writer.close()
    return polls
