"""`bike sources check`: each feed of each source asked once, and what came of it."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from datetime import UTC, datetime

from msgspec.structs import replace

from bike_assets import services
from bike_assets.ingest.routing import expected_parts
from bike_assets.local.drifting import drifts
from bike_assets.local.sources import existing_sources
from bike_assets.model.answers import JCDECAUX_PREFIX, Answer, DiscoveryPoll
from bike_assets.model.errors import LakeBroken, WrongSettings
from bike_assets.settings import Settings
from bike_assets.sources.catalogue import source_of
from bike_assets.sources.config import GbfsSource, JcdecauxSource, Source, load_sources, wrong_url
from bike_assets.sources.findings import Checked, Findings
from bike_assets.sources.jcdecaux.contracts import contract
from bike_assets.sources.plan import Defaults, FeedPlan, plan_for_versions, plans_for, plans_from_discovery
from bike_assets.sources.redaction import redact_url

Ask = Callable[[FeedPlan], Answer]


def wanted(settings: Settings, asked: Sequence[str]) -> list[Source]:
    """The sources of these: a URL of a gbfs.json, a system of the sources file, else one of the catalogue.

    All of the file where none is named. Raises WrongSettings.
    """
    if not asked:
        return list(load_sources(settings.sources))
    present = {system_id: source for source in existing_sources(settings) for system_id in source.system_ids}
    return list(dict.fromkeys(_source_at(each) if "://" in each else _source_of(each, present) for each in asked))


def _source_of(system_id: str, present: Mapping[str, Source]) -> Source:
    source = present.get(system_id) or source_of(system_id)
    if isinstance(source, JcdecauxSource) and source.contracts is not None:
        return replace(source, contracts=(system_id.removeprefix(JCDECAUX_PREFIX),))  # of the answer with all, this one
    return source


def _source_at(url: str) -> GbfsSource:
    if wrong := wrong_url(url):
        raise WrongSettings(f"{redact_url(url)} cannot be asked: {wrong}.")
    return GbfsSource(system_id=redact_url(url), url=url)


def check_sources(settings: Settings, sources: Sequence[Source], done: Callable[[], None]) -> list[Checked]:
    """What each system of the sources is, in their order; `done` is called after each source.

    Every answer has the deadline and the size of the settings.
    """
    defaults, fetcher = services.defaults(settings), services.fetcher(settings)
    stop = threading.Event()

    def ask(plan: FeedPlan) -> Answer:
        if stop.is_set():
            raise CancelledError
        return fetcher.fetch(plan.request(), lambda: datetime.now(UTC))

    with ThreadPoolExecutor(settings.fetch_threads, "check") as pool:
        waiting = [pool.submit(check_source, source, defaults, ask) for source in sources]
        try:
            for _ in as_completed(waiting):
                done()
        finally:
            stop.set()  # Ctrl-C waits for the answers that are under way, and asks for no more
            fetcher.close()
    found = [each for future in waiting for each in future.result()]
    return _with_drifts(settings, found)


def _with_drifts(settings: Settings, found: Sequence[Findings]) -> list[Checked]:
    """What was found, and what is otherwise than in the lake's last week, where the lake knows the system."""
    try:
        drifted = drifts(settings.lake, [field for each in found for field in each.fields])
        said = [drifted.get(each.system_id, []) for each in found]
    except LakeBroken as err:
        said = [[f"whether it drifts cannot be told: {err}"] for _ in found]
    checked = [each.checked() for each in found]
    return [replace(each, remarks=[*each.remarks, *remarks]) for each, remarks in zip(checked, said, strict=True)]


def check_source(source: Source, defaults: Defaults, ask: Ask) -> list[Findings]:
    """Ask each feed of a source once: what each of its systems is."""
    if isinstance(source, GbfsSource):
        return [_check_gbfs(source, defaults, ask)]
    return _check_contracts(source, defaults, ask)


def _check_gbfs(source: GbfsSource, defaults: Defaults, ask: Ask) -> Findings:
    found = Findings(source.system_id, redact_url(source.url), source.timezone)
    [discovery] = plans_for(source, defaults)
    listed = found.take(ask(discovery))
    if isinstance(listed, DiscoveryPoll):
        for plan in (plan_for_versions(source, listed.urls), *plans_from_discovery(source, listed.urls, defaults)):
            if plan is not None:
                found.take(ask(plan))
    return found


def _check_contracts(source: JcdecauxSource, defaults: Defaults, ask: Ask) -> list[Findings]:
    found = {each: _findings_of(each, source, defaults) for each in source.system_ids}
    try:
        [plan] = plans_for(source, defaults)
    except WrongSettings as err:
        for each in found.values():
            each.cannot_be_asked(str(err))
    else:
        for part in expected_parts(ask(plan), frozenset(found)):
            if part.system_id in found:
                found[part.system_id].take(part)
    return [*found.values()]


def _findings_of(system_id: str, source: JcdecauxSource, defaults: Defaults) -> Findings:
    place = contract(system_id.removeprefix(JCDECAUX_PREFIX))
    timezone = source.timezone or (place.timezone if place else None)
    return Findings(system_id, source.url or defaults.jcdecaux_url, timezone)
