"""When what a day hangs on has got something new: the conditions by which days are built again.

Dagster's own `any_deps_updated` leaves out what a run told of itself, but looks at the newest partition of a table
alone: of a range of days each but the last would be news to the rest of its own run, and be built twice. So a run says
in its tags what it builds, before it builds anything.
"""

from typing import Any

import dagster as dg

from bike_assets.model.schema import Table

TAG = ".dagster/builds/"
"""Dagster's UI shows no tag that begins so: there is one for each table of the run."""

Condition = dg.AutomationCondition[Any]


def tell_what_is_built(context: dg.AssetExecutionContext) -> None:
    """Say in the tags of this run what it builds; called by each of its steps, as any may be the first."""
    tags = {_tag(key): "" for key in context.job_def.asset_layer.selected_asset_keys}
    if not tags.keys() <= context.run.tags.keys():
        context.instance.add_run_tags(context.run.run_id, tags)


def news_for(table: Table, of_days: frozenset[dg.AssetKey]) -> Condition:
    """Whether something else than a run that builds `table` too has told of what it hangs on.

    `of_days`: what is looked at.
    """
    by_others = ~dg.AutomationCondition.all_new_updates_have_run_tags(tag_keys={_tag(dg.AssetKey(list(table.path)))})
    return dg.AutomationCondition.any_deps_match(
        (dg.AutomationCondition.newly_updated() & by_others) | dg.AutomationCondition.will_be_requested()
    ).allow(dg.AssetSelection.assets(*of_days))


def remembered(told: Condition) -> Condition:
    """True from when `told` is until it is asked for.

    What is told while a run is at work is remembered until that run is over, and what is told just after it was asked
    for too: the run may have read before it.
    """
    return told.since(dg.AutomationCondition.newly_requested() & ~told)


def _tag(key: dg.AssetKey) -> str:
    return f"{TAG}{'.'.join(key.path)}"
