"""What a check found, in Dagster's words."""

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
