"""What a check found, in Dagster's words."""

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from bike_assets.quality.found import Found


def check_result(
    found: "Found",
    *,
    name: str | None = None,
    may_be_empty: bool = False,
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
) -> dg.AssetCheckResult:
    """Nothing checked is not a pass, unless nothing is what a healthy table may hold; what failed is shown.

    `name` is the check's, where a step has several.
    """
    return dg.AssetCheckResult(
        check_name=name,
        passed=not found.bad and (found.checked > 0 or may_be_empty),
        severity=severity,
        metadata={
            "checked": found.checked,
            "bad": found.bad,
            "first_bad": dg.JsonMetadataValue(found.first_bad),
            "see_all": dg.MetadataValue.md(f"`bike sql \"{found.query}\"`"),
        },
    )


def not_yet(name: str, days: Sequence[date]) -> dg.AssetCheckResult:
    """A check that looks at the live minutes, which have not come to the newest events of these days: no pass, and no
    finding either. It is made again with the next run of the days, and each morning's has the day before's too.
    """
    return dg.AssetCheckResult(
        check_name=name,
        passed=False,
        severity=dg.AssetCheckSeverity.WARN,
        description="Not yet: the live minutes have not come to all events of these days.",
        metadata={"checked": 0, "bad": 0, "not_yet": ", ".join(day.isoformat() for day in days)},
    )
