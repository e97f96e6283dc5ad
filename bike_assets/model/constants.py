"""The numbers that define the measures. They are definitions, not settings: changing one changes history."""

from datetime import timedelta

MAX_GAP = timedelta(minutes=30)
"""A poll interval longer than this says nothing of what lay in it; a body further behind is stale."""

ABSENCE_MEMORY = timedelta(hours=24)
"""How long a station that is no longer in its feed is still reported as absent."""

ABSENT_STATIONS = 10_000
"""So many absent stations of a system are remembered, those seen last: several times what a great city has. A feed that
names its stations anew at each poll has more in a day than memory has room for."""

DESCRIPTION_MEMORY = timedelta(days=30)
UNLISTED_STATIONS = 1_000
UNLISTED_CHARACTERS = 100_000
"""How long a description is remembered of a station that is no longer listed, and of how many a system, whose ids have
how many characters together: who comes back within that time, described as before, is not described again."""

BULK_STEP_BIKES = 5
BULK_INTERVAL = timedelta(minutes=10)
"""A step of so many bikes between two polls at most so far apart is a bulk move: often a van."""

MOVED_M = 25
"""A station that moved further is described anew; nearer is the noise of a GPS fix."""

DOCKS_NOT_GIVEN = 999
"""What some producers answer for "we do not count docks"."""

MAX_COUNT = 1_000_000
"""No station has so many bikes or docks: a larger count is a broken row, not a reading."""

STUCK_HOURS = 24
STUCK_MEDIAN_CHANGES = 20
"""A station that is open and unchanged for so many known hours, while its system's median station changed so often."""

JUMPED_M = 500
"""A station whose description moved further in a day: an id used again, or a slip of the hand."""

TEST_STATION_KM = 25
"""A station further than this from its system's median: a depot's or a developer's."""

STALE_REPORT = timedelta(hours=24)
"""A station whose own report is older than this at an open reading: its dock's link is probably down."""

USUAL_WEEKS = 4
USUAL_WEEKS_KNOWN = 2
"""A day's flows are compared with the mean of its weekday in so many weeks before it, where enough are complete."""

UNUSUAL_TIMES = 3
"""Flows so many times the usual, or less than the same part of them, are worth a look."""

HOLE_SHARE = 0.1
"""A system's day of whose station-hours a larger share is unknown has a hole."""

STILL_ASKED = timedelta(days=7)
"""A system that was asked in so long a time before a day is one that ought to be seen in it, though nobody asked: then
its day is wholly silent. After that it is one that is not asked any more.
"""

EVENTS_GO = timedelta(days=4)
"""A day is built from the events of some days around it. Where events are kept for a time, the oldest days of them are
not built again for a zone that is told later: a run of days that began among them would find its first events gone.
"""

EARTH_RADIUS_M = 6_371_008.8
"""The earth's mean radius (IUGG)."""

BATTERY_STEP_PCT = 5
"""A vehicle's battery that rose or fell by so many percent is an event; less is the noise of its gauge."""

RANGE_STEP = 0.05
"""Where a vehicle's battery is not known, its range that changed by such a part of itself is an event."""

ABANDONED_AFTER = timedelta(hours=24)
"""A vehicle that has not moved for so long is counted as abandoned, wherever it stands."""

LOW_BATTERY_PCT, HIGH_BATTERY_PCT = 20, 60
"""Below the one a battery is low, from the other on it is high."""

TOP_CHARGED = 3
"""So many of the best charged vehicles are named."""
