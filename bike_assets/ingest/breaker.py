"""How often a feed that does not answer is asked: less and less, and as before once it answers."""

FAILURES = 3
"""So many in a row are no accident; a retry within the poll (sources/http.py) counts with its poll."""

PROBE_S = 600.0
"""s between two questions to a feed that is down, at the most: well below MAX_GAP, so that it is seen to be back
before the half hour from which on a gap is unknown time.
"""


class Breaker:
    """The failures in a row of one feed, and what follows from them. Used by one thread at a time."""

    def __init__(self) -> None:
        self._failures = 0

    @property
    def is_open(self) -> bool:
        """Whether the feed is asked less often than it would be."""
        return self._failures >= FAILURES

    def tell(self, *, is_answered: bool) -> None:
        """What became of a question. One answer closes the breaker at once."""
        self._failures = 0 if is_answered else self._failures + 1

    def interval_s(self, own_s: float) -> float:
        """s until the next question: twice as long with each further failure, up to PROBE_S or the feed's own."""
        doublings = max(self._failures - FAILURES + 1, 0)
        return max(own_s, min(own_s * float(2 ** min(doublings, 16)), PROBE_S))
