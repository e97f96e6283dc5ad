"""Keeping keys out of what is written: errors, bodies, and the log records of the HTTP libraries."""

import logging
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus, urlsplit

REMOVED = "[removed]"
MIN_SECRET = 8
"""A shorter word is no key: taking it out of an answer would only spoil the answer."""

_QUERY = re.compile(r"\?[^\s\"'>)\]]*")
_USER = re.compile(r"(\w+://)[^/\s\"'@]*@")
_HTTP_LOGGERS = ("urllib3", "urllib3.connectionpool", "urllib3.connection", "urllib3.response",
                 "urllib3.poolmanager", "urllib3.util.retry", "requests")


def redact_url(url: str) -> str:
    """The URL without its query, its fragment and its user."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "an address that is none"
    return f"{parts.scheme}://{host}{parts.path}"


def redact_text(text: str) -> str:
    """The text without the query and the user of any URL in it."""
    return _USER.sub(r"\1", _QUERY.sub(f"?{REMOVED}", text))


class Secrets:
    """The keys of one request, to be taken out of all that comes of it."""

    def __init__(self, values: Iterable[str]) -> None:
        long = [value for value in values if len(value) >= MIN_SECRET]
        self._forms = sorted({form for v in long for form in (v, quote(v, safe=""), quote_plus(v))})

    def out_of(self, text: str) -> str:
        for form in self._forms:
            text = text.replace(form, REMOVED)
        return text

    def out_of_bytes(self, body: bytes) -> bytes:
        """The body itself, unless a server echoes the key."""
        for form in self._forms:
            if form.encode() in body:
                body = body.replace(form.encode(), REMOVED.encode())
        return body


class _WithoutQueries(logging.Filter):
    """Takes every query string out of a record, whatever its level, before any handler sees it."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = _QUERY.sub(f"?{REMOVED}", record.getMessage()), ()
        record.exc_info = record.exc_text = None  # a traceback's last line names the URL again
        return True


_without_queries = _WithoutQueries()


def redact_http_logs() -> None:
    """Make the HTTP libraries' loggers safe at every level. Doing it twice does nothing more."""
    for name in _HTTP_LOGGERS:
        logging.getLogger(name).addFilter(_without_queries)
