"""The one door to the network: deadlines, size cap, redirects, retries and redaction live here only."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.cookiejar import DefaultCookiePolicy
from random import uniform
from urllib.parse import SplitResult, urljoin, urlsplit
from uuid import uuid4

import requests
from pydantic import SecretStr
from urllib3.exceptions import DecodeError, ReadTimeoutError

from bike_assets.model.answers import Answer
from bike_assets.model.messages import Outcome
from bike_assets.sources.deadlines import DeadlineAdapter, seconds_left, set_deadline
from bike_assets.sources.redaction import Secrets, redact_http_logs, redact_url

USER_AGENT = "bike_assets/0.1 (bike-share data platform)"
CONNECT_S = 5.0
CHUNK = 1 << 16
HOSTS = 256
"""Connections to so many hosts are kept open, those of the others closed: a new one costs a handshake."""
REDIRECTS = 3
RETRIES = 2
BACK_OFF_S = 0.2
"""Before the first retry; doubled before each further one, and up to half as long again by chance."""
MOVED = frozenset({301, 302, 303, 307, 308})
PASSING = frozenset({502, 503, 504})
"""A gateway's way of saying: in a moment."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask, and for whom. `secrets` are parameters too, and stand nowhere but in the request."""

    system_id: str
    feed: str
    url: str
    params: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, SecretStr] = field(default_factory=dict)
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class _Got:
    """What one attempt brought."""

    status: int | None = None
    body: bytes | None = None
    etag: str | None = None
    failure: Outcome | None = None
    error: str | None = None
    is_passing: bool = False


class Fetcher:
    """Asks, from many threads at once. Give it up with `close`."""

    def __init__(self, deadline_s: float, max_bytes: int, connections: int = 4) -> None:
        """`deadline_s` is for an answer with its retries, `max_bytes` for a body, decompressed, and `connections`
        how many to one host are kept open.
        """
        redact_http_logs()
        self._deadline_s = deadline_s
        self._max_bytes = max_bytes
        self._session = requests.Session()
        self._session.headers.update({"User-Agent": USER_AGENT, "Accept": "application/json",
                                      "Accept-Encoding": "gzip, deflate"})
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, DeadlineAdapter(pool_connections=HOSTS, pool_maxsize=connections))

    def close(self) -> None:
        """Let go of all connections."""
        self._session.close()

    def fetch(self, request: Request, now: Callable[[], datetime]) -> Answer:
        """The answer, or why there is none; no feed's failure is raised, and no key is in what comes back."""
        started = time.monotonic()
        set_deadline(started + self._deadline_s)
        got = self._retried(request)
        fetched_at = now().astimezone(UTC)
        return Answer(
            system_id=request.system_id,
            feed=request.feed,
            fetched_at=fetched_at.replace(microsecond=fetched_at.microsecond // 1000 * 1000),
            request_id=uuid4().hex,
            http_status=got.status,
            body=got.body,
            seconds=round(time.monotonic() - started, 6),
            failure=got.failure,
            error=got.error,
            etag=got.etag,
        )

    def _retried(self, request: Request) -> _Got:
        secrets = Secrets(value.get_secret_value() for value in request.secrets.values())
        got = self._attempt(request, secrets)
        for number in range(RETRIES):
            pause = BACK_OFF_S * 2**number * uniform(1, 1.5)  # noqa: S311
            if not got.is_passing or _left() <= pause:
                break
            time.sleep(pause)
            got = self._attempt(request, secrets)
        return got

    def _attempt(self, request: Request, secrets: Secrets) -> _Got:
        try:
            got = self._asked(request)
        except Exception as err:  # what the libraries raise, and what nobody thought of: the feeds after it are asked
            # Never str(err): it carries the whole URL, and the URL the key.
            got = self._failed(err, redact_url(request.url))
        return _Got(
            status=got.status,
            body=None if got.body is None else secrets.out_of_bytes(got.body),
            etag=got.etag,
            failure=got.failure,
            error=None if got.error is None else secrets.out_of(got.error),
            is_passing=got.is_passing,
        )

    def _asked(self, request: Request) -> _Got:
        """Ask, and follow redirects. Raises whatever the libraries raise."""
        url = request.url
        params: dict[str, str] | None = {**request.params, **_shown(request.secrets)}
        headers = {} if request.etag is None else {"If-None-Match": request.etag}
        for _ in range(REDIRECTS + 1):
            with self._session.get(
                url,
                params=params,
                headers=headers,
                stream=True,
                allow_redirects=False,
                timeout=(min(CONNECT_S, seconds_left()), seconds_left()),
            ) as response:
                target = response.headers.get("Location")
                if response.status_code not in MOVED or target is None:
                    return self._answered(response, redact_url(url))
                target = urljoin(response.url, target)
                if not _is_same_place(response.url, target):
                    error = f"{redact_url(url)} leads elsewhere, which is not followed: {redact_url(target)}"
                    return _Got(response.status_code, failure=Outcome.HTTP_ERROR, error=error)
                url, params = target, None
        error = f"{redact_url(request.url)} leads on and on, {REDIRECTS} redirects were followed"
        return _Got(failure=Outcome.HTTP_ERROR, error=error)

    def _answered(self, response: requests.Response, where: str) -> _Got:
        status = response.status_code
        etag = response.headers.get("ETag")
        if status == requests.codes.not_modified:
            return _Got(status, etag=etag)
        if not response.ok or status in MOVED:
            error = f"{where} answered with status {status}"
            return _Got(status, failure=Outcome.HTTP_ERROR, error=error, is_passing=status in PASSING)
        body = self._body(response)
        if body is None:
            error = f"{where} answered with more than {self._max_bytes:,} bytes"
            return _Got(status, failure=Outcome.TOO_LARGE, error=error)
        return _Got(status, body, etag)

    def _body(self, response: requests.Response) -> bytes | None:
        """The body, decompressed in bounded steps; None as soon as it is too large."""
        said = response.headers.get("Content-Length", "")
        if said.isdecimal() and int(said) > self._max_bytes:
            return None
        body = bytearray()
        while chunk := response.raw.read(CHUNK, decode_content=True):
            seconds_left()
            body += chunk
            if len(body) > self._max_bytes:
                return None
        return bytes(body)

    def _failed(self, err: Exception, where: str) -> _Got:
        causes = list(_causes(err))
        if isinstance(err, requests.ConnectTimeout) and _left() > 0:
            return _Got(failure=Outcome.TIMEOUT, error=f"{where} took no connection within {CONNECT_S:g} s")
        if _left() <= 0 or any(isinstance(each, ReadTimeoutError | TimeoutError) for each in causes):
            error = f"{where} did not answer in full within {self._deadline_s:g} s"
            return _Got(failure=Outcome.TIMEOUT, error=error)
        last = type(causes[-1]).__name__
        is_address = isinstance(err, ValueError) and not isinstance(err, requests.ConnectionError)
        if is_address or isinstance(err, DecodeError):
            return _Got(failure=Outcome.HTTP_ERROR, error=f"{where} cannot be asked or read ({last})")
        error = f"{where} could not be reached, or broke off ({last})"
        return _Got(failure=Outcome.HTTP_ERROR, error=error, is_passing=True)


def _shown(secrets: Mapping[str, SecretStr]) -> dict[str, str]:
    return {name: value.get_secret_value() for name, value in secrets.items()}


def _left() -> float:
    try:
        return seconds_left()
    except TimeoutError:
        return 0.0


def _causes(err: BaseException) -> list[BaseException]:
    """The error and what it wraps, as requests and urllib3 wrap: in `reason` or as an argument."""
    found = [err]
    while len(found) < 10:
        last = found[-1]
        inner = [getattr(last, "reason", None), *last.args, last.__cause__, last.__context__]
        further = next((each for each in inner if isinstance(each, BaseException) and each not in found), None)
        if further is None:
            break
        found.append(further)
    return found


def _is_same_place(before: str, after: str) -> bool:
    """Whether a redirect stays with the server that was asked; from http to https is no other place."""
    one, other = urlsplit(before), urlsplit(after)
    if one.hostname != other.hostname:
        return False
    if one.scheme == other.scheme:
        return _port(one) == _port(other)
    return (one.scheme, _port(one), other.scheme, _port(other)) == ("http", 80, "https", 443)


def _port(url: SplitResult) -> int:
    return url.port or (443 if url.scheme == "https" else 80)
