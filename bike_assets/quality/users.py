"""What must hold of `events.users`: it has what the policy of `model.personal` leaves, and nothing else.

The rule counts, and shows no row: what it finds is a person's.
"""

from datetime import date

import duckdb

from bike_assets.model.personal import POLICY, POSTCODE_CHARACTERS, Treatment
from bike_assets.model.tables import EVENTS_USERS
from bike_assets.quality.found import Found, look, of_dates

_HASH = "'^[0-9a-f]{64}$'"
_ID = "'^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'"


def only_what_the_policy_leaves(
    con: duckdb.DuckDBPyConnection, first: date | None = None, last: date | None = None
) -> Found:
    """Each hash is one, each cut is made: by column, how many rows say otherwise. Looks at all, or at these dates."""
    rows = f"{EVENTS_USERS.name} WHERE {of_dates(EVENTS_USERS, first, last)}"
    hashed = [str(rule.column) for rule in POLICY if rule.treatment is Treatment.HASHED]
    wrong = {
        **{name: f"NOT regexp_full_match({name}, {_HASH})" for name in hashed},
        "member_id": f"NOT regexp_full_match(member_id, {_ID})",
        "postcode_area": f"length(postcode_area) > {POSTCODE_CHARACTERS}",
        "lat": "lat <> round(lat, 1)",
        "lon": "lon <> round(lon, 1)",
    }
    counts = " UNION ALL ".join(
        f"SELECT '{name}' AS field, count(*) AS rows FROM {rows} AND coalesce({condition}, false)"
        for name, condition in wrong.items()
    )
    return look(con, rows, f"SELECT * FROM ({counts}) WHERE rows > 0 ORDER BY field")
