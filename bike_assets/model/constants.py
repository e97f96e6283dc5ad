"""The numbers that define the measures. They are definitions, not settings: changing one changes history."""

from datetime import timedelta

MAX_GAP = timedelta(minutes=30)
"""A poll interval longer than this says nothing of what lay in it; a body further behind is stale."""

ABSENCE_MEMORY = timedelta(hours=24)
"""How long a station that is no longer in its feed is still reported as absent."""

BULK_STEP_BIKES = 5
BULK_INTERVAL = timedelta(minutes=10)
"""A step of so many bikes between two polls at most so far apart is a bulk move: often a van."""

MOVED_M = 25
"""A station that moved further is described anew; nearer is the noise of a GPS fix."""

DOCKS_NOT_GIVEN = 999
"""What some producers answer for "we do not count docks"."""

MAX_COUNT = 1_000_000
"""No station has so many bikes or docks: a larger count is a broken row, not a reading."""
