"""What a table of members must not hold."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from bike_assets.lake.duck import connect
from bike_assets.model.tables import EVENTS_USERS
from bike_assets.quality.users import only_what_the_policy_leaves
from bike_assets_tests.lake.rows import write
from bike_assets_tests.model.builders import NOON, user


def look(lake: Path, **given: Any) -> tuple[int, list[dict[str, Any]]]:
    rows = [user(), user(member_id="7a0eed16-9430-4d68-901f-c0d4c1c3bf01", **given)]
    place = {"utc_date": NOON.date(), "kafka_partition": 0, "kafka_offset": 1}
    write(lake, EVENTS_USERS, [msgspec.structs.asdict(each) | place for each in rows])
    with connect(lake) as con:
        found = only_what_the_policy_leaves(con, NOON.date(), NOON.date())
    return found.checked, found.first_bad


def test_what_the_policy_leaves_passes_and_null_too(tmp_path: Path) -> None:
    assert look(tmp_path, lat=None, lon=None, username_hash=None, postcode_area=None) == (2, [])


@pytest.mark.parametrize(
    ("column", "value"),
    [("email_hash", "ada@example.com"), ("username_hash", "ada"), ("postcode_area", "25000"), ("lat", 47.2431),
     ("lon", 6.02)],
)  # fmt: skip
def test_a_field_that_was_not_hashed_or_cut_is_told_by_its_name_alone(tmp_path: Path, column: str, value: Any) -> None:
    assert look(tmp_path, **{column: value}) == (2, [{"field": column, "rows": 1}])
