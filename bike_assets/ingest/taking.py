"""An answer taken so that whatever goes wrong with it stays its own: a poller has a thousand systems beside it."""

from collections.abc import Callable

import structlog

from bike_assets.ingest.memory import Memories
from bike_assets.ingest.profiles import Profile
from bike_assets.ingest.records import Atom, refuse, take
from bike_assets.model.answers import Answer
from bike_assets.model.errors import KafkaRefuses

log = structlog.get_logger()

MESSAGE_BYTES = 1_000_000
"""A message as Kafka's client counts it; a broker takes 1,048,588 bytes for a batch of them, unless told otherwise."""
FRAME_BYTES = 1_000
"""The client counts what it puts round key and value too: less than this."""

TOLD_CHARACTERS = 200
"""Of what an unexpected exception says: it can repeat a body."""

ProfileOf = Callable[[str], Profile]


def take_alone(memories: Memories, answer: Answer, profile_of: ProfileOf) -> Atom:
    """Take an answer, and move its system's memory on; where that fails, for whatever reason, the poll is `invalid`.

    It is taken by a copy of the memory, which a failure leaves half moved on: of the poll then nothing is left but
    its record and the refused body. To copy costs a hundredth of what taking does.
    """
    memory = memories[answer.system_id]
    moved = memory.copied()
    try:
        atom = take(moved, answer, profile_of(answer.system_id))
        _refuse_too_large(atom)
    except Exception as err:  # what nobody thought of: the other systems go on, the log has all of it
        log.exception("taken as invalid", system_id=answer.system_id, feed=answer.feed)
        moved = memory.copied()
        atom = refuse(moved, answer, _told(err))
    memories[answer.system_id] = moved
    return atom


def _refuse_too_large(atom: Atom) -> None:
    """Raise KafkaRefuses for a message that Kafka would not take: it would refuse the whole transaction."""
    for record in atom.records:
        # A character of a key is four bytes at the most.
        size = len(record.value or b"") + 4 * len(record.key)
        if size > MESSAGE_BYTES - FRAME_BYTES:
            raise KafkaRefuses(f"a message of {record.topic.name} would have {size} bytes, Kafka takes {MESSAGE_BYTES}")


def _told(err: Exception) -> str:
    """One sentence, in characters that can be written."""
    said = str(err).partition("\n")[0][:TOLD_CHARACTERS].encode(errors="replace").decode()
    return f"taking it failed: {type(err).__name__}: {said}"
