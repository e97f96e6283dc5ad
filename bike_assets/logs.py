"""Logs: structlog over the standard library, so that every library's records look like ours."""

import logging
import sys

import structlog

KAFKA_LOG = logging.getLogger("bike_assets.kafka")
"""Where librdkafka's own words go."""


def set_up_logs(level: str, *, as_json: bool) -> None:
    """Send all logs to standard error, one line each, in UTC."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                        structlog.processors.format_exc_info, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # These speak of every request; urllib3's lines would hold URLs, and a URL can hold a key.
    for chatty in ("urllib3", "py4j", "filelock", "asyncio", "alembic", "pyspark"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logging.getLogger("bike_assets.kafka").setLevel(logging.CRITICAL)
