"""Reports of the services to Dagster, over its webserver's REST endpoints: no run, 0.02 s each."""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import structlog

log = structlog.get_logger()

REPORT_S = 60.0
SILENT_REPORT_S = 600.0
"""How often is told of an asset to which nothing came while others of its layer went on: it is up to date too."""

RETRY_S = 5.0
ANSWER_S = 10.0
KEPT_REPORTS = 1_000
"""Reports that wait for a webserver that is down; the oldest go first."""


class _Report(NamedTuple):
    path: str
    body: dict[str, Any]
    heard: Callable[[], None]


def _nothing() -> None:
    """Nobody waits for it."""


class Reporter:
    """Sends materialisations and observations in the background, in order, each until it was taken."""

    def __init__(self, dagster_url: str) -> None:
        self._url = dagster_url
        self._waiting: deque[_Report] = deque(maxlen=KEPT_REPORTS)
        self._news = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reporter", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def materialized(
        self, key: Sequence[str], metadata: Mapping[str, Any], description: str,
        partition: str | None = None, heard: Callable[[], None] = _nothing,
    ) -> None:
        """Report an asset, or a partition of it, as materialised, and return.

        `heard` is called when it was taken; what it raises is logged, and called again it is not.
        """
        body = {"metadata": dict(metadata), "description": description}
        if partition is not None:
            body["partition"] = partition
        self._put(_Report("/".join(["report_asset_materialization", *key]), body, heard))

    def observed(self, key: Sequence[str], metadata: Mapping[str, Any], description: str) -> None:
        """Report how an asset goes on; returns at once."""
        body = {"metadata": dict(metadata), "description": description}
        self._put(_Report("/".join(["report_asset_observation", *key]), body, _nothing))

    def _put(self, report: _Report) -> None:
        self._waiting.append(report)
        self._news.set()

    def _run(self) -> None:
        while True:
            self._news.wait()
            self._news.clear()
            while self._waiting:
                report = self._waiting[0]
                if not self._send(report):
                    time.sleep(RETRY_S)
                    continue
                if self._waiting and self._waiting[0] is report:
                    self._waiting.popleft()
                _tell_heard(report)

    def _send(self, report: _Report) -> bool:
        """Whether it is done with: taken, or refused for good."""
        import requests  # here: every command loads this module, and hardly one reports

        try:
            answer = requests.post(f"{self._url}/{report.path}", json=report.body, timeout=ANSWER_S)
        except (TypeError, requests.exceptions.InvalidJSONError) as err:
            log.error("a report is no JSON and is dropped", path=report.path, reason=str(err))
            return True
        except requests.RequestException as err:
            log.debug("Dagster does not answer", reason=type(err).__name__)
            return False
        if answer.status_code >= 500:
            return False
        if not answer.ok:
            log.warning("Dagster refused a report", path=report.path, status=answer.status_code, said=answer.text[:200])
        return True


def _tell_heard(report: _Report) -> None:
    """Whatever whoever waits for it cannot do now, the reports after it are sent."""
    try:
        report.heard()
    except Exception:  # the thread has nobody above it: it would end, and every later report with it
        log.exception("what hangs on a report that was taken was not done", path=report.path)


class Progress(NamedTuple):
    """How far an asset is: its key, its rows or messages, and how many of them came since the report before."""

    key: tuple[str, ...]
    by: int
    total: int


class Reported:
    """A heartbeat that also reports how far each asset is: at once the first time, then once in REPORT_S.

    The details of the heartbeat carry `rows`: how many each asset has got since the service's start; and, where a
    service can tell, `is_seeing`: while it sees nothing, silence does not mean that an asset is up to date.
    """

    def __init__(
        self, beat: Callable[[Mapping[str, Any]], None], reporter: Reporter, unit: str,
        more: Callable[[Sequence[str]], Mapping[str, Any]] = lambda key: {},
    ) -> None:
        """`more` gives what is told of an asset beside how far it is."""
        self._beat = beat
        self._more = more
        self._reporter = reporter
        self._unit = unit
        self._told: dict[str, int] = {}
        self._told_at: dict[str, float] = {}
        reporter.start()

    def __call__(self, details: Mapping[str, Any]) -> None:
        self._beat(details)
        now = time.monotonic()
        for each in progress(self._told, details["rows"]):
            key = "/".join(each.key)
            if not each.by and not details.get("is_seeing", True):
                continue
            if now - self._told_at.get(key, -math.inf) < (REPORT_S if each.by else SILENT_REPORT_S):
                continue
            self._told_at[key] = now
            self._told[key] = each.total
            metadata = {self._unit: each.by, f"{self._unit}_since_start": each.total, **self._more(each.key)}
            # The tables of events are materialised a day at a time, when the day closes.
            tell = self._reporter.observed if each.key[0] == "events" else self._reporter.materialized
            tell(each.key, metadata, f"{each.by} {self._unit} since the last report")


def progress(told: Mapping[str, int], rows: Mapping[str, int]) -> Iterator[Progress]:
    """The assets of each layer that got something since it was told of: those that grew, and the silent ones."""
    found = [Progress(tuple(key.split("/")), max(total - told.get(key, 0), 0), total) for key, total in rows.items()]
    moving = {each.key[0] for each in found if each.by}
    return (each for each in sorted(found) if each.key[0] in moving)
