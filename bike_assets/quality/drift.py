"""Drift: what a feed changed without a word, told by the fields of its bodies (`events.feed_fields`).

Each body is compared with what most bodies of the week before it had. The first one that differs fixes what was
"before"; all bodies since then that differ from this are its occurrences. So a drift is told for a week after it began,
with its true beginning; by then it is how the feed is.
"""

from collections.abc import Iterable
from datetime import date

import duckdb

from bike_assets.model.drift import (
    BODIES_BEFORE,
    DEGREES,
    GIVEN_BEFORE,
    GIVEN_NOW,
    LATITUDES,
    LONGITUDES,
    NO_UNIT,
    REFERENCE,
    TIMES,
    WORDS,
)
from bike_assets.model.tables import EVENTS_FEED_FIELDS, EVENTS_POLLS
from bike_assets.quality.found import Found, literal, look, of_dates

_DAYS_BEFORE = 2 * REFERENCE
"""A drift of these days began a week before them at the earliest, and is compared with the week before that."""

_IS_OF_A_LIST = "path LIKE '%[]'"
"""Of the elements of a list there may be none."""

_WEEK = f"INTERVAL {REFERENCE.days} DAYS"


def feeds_do_not_drift(con: duckdb.DuckDBPyConnection, first: date | None = None, last: date | None = None) -> Found:
    """Each feed has the fields, kinds of values, units and words that it had in the week before.

    Of all bodies, or of drifts that occurred on these UTC dates. A bad row is a field that drifted, with what it was
    and is, the last body before it, the first and the last that show it, how many bodies show it and how many times the
    feed was asked meanwhile.
    """
    looked_at = of_dates(EVENTS_FEED_FIELDS, first, last)
    since = None if first is None else first - _DAYS_BEFORE
    occurred = (
        "true" if first is None or last is None
        else f"last_at::DATE >= {literal(first)}"
        f" AND first_at::DATE BETWEEN {literal(first - REFERENCE)} AND {literal(last)}"
    )  # fmt: skip
    return look(
        con,
        f"events.feed_fields WHERE {looked_at}",
        f"""
        WITH {_fields(since, last)}, {_numbers()}, {_words()},
        drifts AS (FROM drifted UNION ALL BY NAME FROM spoken_anew),
        asked AS (SELECT system_id, feed, fetched_at FROM events.polls WHERE {of_dates(EVENTS_POLLS, since, last)})
        SELECT drifts.*, count(asked.fetched_at) AS polls
        FROM (FROM drifts WHERE {occurred}) AS drifts
        LEFT JOIN asked ON asked.system_id = drifts.system_id AND asked.feed = drifts.feed
             AND asked.fetched_at BETWEEN first_at AND last_at
        GROUP BY ALL ORDER BY first_at, system_id, feed, path
        """,
    )


def _fields(since: date | None, last: date | None) -> str:
    """`fields`: those of all bodies that matter, with the path `within` which each stands and its last `name`."""
    return rf"""
        fields AS (
            SELECT system_id, feed, fetched_at, path, regexp_replace(path, '(^|\.)[^.]*$', '') AS within,
                   regexp_extract(path, '([^.\[\]]*)(\[\])*$', 1) AS name, given / greatest(objects, 1) AS share,
                   kind, median, greatest(abs(low), abs(high)) AS far, words
            FROM events.feed_fields WHERE {of_dates(EVENTS_FEED_FIELDS, since, last)})"""


def _numbers() -> str:
    """`drifted`: what is gone, of another type or unit, or swapped.

    Most fields are alike in all bodies: only what remains, `unlike`, is looked at body by body.
    """
    places = _list((*LATITUDES, *LONGITUDES))
    return f"""
        paths AS (
            SELECT system_id, feed, path, within, name, count(*) AS bodies,
                   min(share) < {GIVEN_NOW} AND max(share) >= {GIVEN_BEFORE} OR min(kind) <> max(kind)
                   OR max(far) >= {TIMES} * min(far) AND NOT {_has_no_unit()}
                   OR max(median) - min(median) >= {DEGREES} AND name IN {places} AS is_unlike
            FROM fields GROUP BY system_id, feed, path, within, name),
        objects AS (
            SELECT system_id, feed, within, count(DISTINCT fetched_at) AS of_all
            FROM fields GROUP BY system_id, feed, within),
        unlike AS (
            SELECT paths.* FROM paths JOIN objects USING (system_id, feed, within)
            WHERE is_unlike OR bodies < of_all AND NOT {_IS_OF_A_LIST}),
        bodies AS (
            SELECT DISTINCT system_id, feed, within, fetched_at FROM fields
            SEMI JOIN unlike USING (system_id, feed, within)),
        alone AS (
            SELECT unlike.system_id, unlike.feed, unlike.path, unlike.within, unlike.name, bodies.fetched_at,
                   coalesce(fields.share, 0) AS share, fields.kind, fields.median, fields.far
            FROM unlike JOIN bodies USING (system_id, feed, within)
            LEFT JOIN fields ON fields.system_id = unlike.system_id AND fields.feed = unlike.feed
                 AND fields.path = unlike.path AND fields.fetched_at = bodies.fetched_at),
        series AS (
            SELECT alone.*, pair.median AS other
            FROM alone LEFT JOIN alone AS pair
                 ON pair.system_id = alone.system_id AND pair.feed = alone.feed AND pair.within = alone.within
                 AND pair.fetched_at = alone.fetched_at AND pair.name IN {places} AND alone.name IN {places}
                 AND (pair.name IN {_list(LATITUDES)}) <> (alone.name IN {_list(LATITUDES)})),
        compared AS (
            SELECT *, struct_pack(
                bodies := count(*) OVER week, last_at := max(fetched_at) OVER week,
                share := quantile_disc(share, 0.5) OVER week, kind := quantile_disc(kind, 0.5) OVER week,
                median := quantile_disc(median, 0.5) OVER week, far := quantile_disc(far, 0.5) OVER week,
                other := quantile_disc(other, 0.5) OVER week) AS before
            FROM series
            WINDOW week AS (
                PARTITION BY system_id, feed, path ORDER BY fetched_at
                RANGE BETWEEN {_WEEK} PRECEDING AND INTERVAL 1 MILLISECOND PRECEDING)),
        began AS (
            SELECT system_id, feed, path, drift, min(fetched_at) AS first_at, arg_min(before, fetched_at) AS before
            FROM (SELECT *, {_drift()} AS drift FROM compared) WHERE drift IS NOT NULL GROUP BY ALL),
        occurred AS (
            SELECT series.*, began.drift AS began_as, began.first_at, began.before, {_drift()} AS drift
            FROM series JOIN began USING (system_id, feed, path) WHERE fetched_at >= first_at),
        drifted AS (
            SELECT system_id, feed, path, drift, {_told("before")} AS before, {_told("now")} AS now,
                   before_at, first_at, last_at, bodies
            FROM (SELECT system_id, feed, path, drift, any_value(before) AS before,
                         any_value(before).last_at AS before_at, any_value(first_at) AS first_at,
                         max(fetched_at) AS last_at, count(*) AS bodies,
                         arg_min(struct_pack(share := share, kind := kind, median := median), fetched_at) AS now
                  FROM occurred WHERE drift = began_as GROUP BY system_id, feed, path, drift))"""


def _drift() -> str:
    """How a body's field differs from what it was `before`; null where it does not, or too little is known."""
    is_swapped = (
        f"abs(median - before.other) < {DEGREES} AND abs(other - before.median) < {DEGREES}"
        f" AND abs(median - before.median) >= {DEGREES}"
    )
    is_more = f"median <> 0 AND abs(median) >= {TIMES} * abs(before.median) AND far >= {TIMES} * before.far"
    is_less = f"abs(before.median) >= {TIMES} * abs(median) AND before.far >= {TIMES} * far"
    return f"""
        CASE WHEN before.bodies < {BODIES_BEFORE} THEN NULL
             WHEN share < {GIVEN_NOW} THEN CASE
                  WHEN before.share >= {GIVEN_BEFORE} AND NOT {_IS_OF_A_LIST} THEN 'gone' END
             WHEN kind <> before.kind THEN CASE WHEN 'mixed' NOT IN (kind, before.kind) THEN 'type' END
             WHEN {is_swapped} THEN 'swapped'
             WHEN median <> 0 AND before.median <> 0 AND NOT {_has_no_unit()} AND ({is_more} OR {is_less}) THEN 'unit'
        END"""


def _told(side: str) -> str:
    """What a field was or is, in words."""
    return f"""
        CASE drift WHEN 'gone' THEN format('given by {{:.0f}} %', 100 * {side}.share)
                   WHEN 'type' THEN {side}.kind ELSE format('median {{:.13g}}', {side}.median) END"""


def _words() -> str:
    """`spoken_anew`: words that neither a system's field of this name had, in any feed, nor its specification names."""
    named = ", ".join(f"('{name}', '{word}')" for name, words in WORDS.items() for word in sorted(words))
    return f"""
        talkative AS (
            SELECT system_id, name FROM fields WHERE words IS NOT NULL GROUP BY ALL HAVING min(words) <> max(words)),
        spoken AS (
            SELECT system_id, feed, path, name, fetched_at, unnest(words::JSON::VARCHAR[]) AS word
            FROM fields SEMI JOIN talkative USING (system_id, name) WHERE words IS NOT NULL),
        learnt AS (
            SELECT system_id, name, word, arg_min(feed, fetched_at) AS feed, arg_min(path, fetched_at) AS path,
                   min(fetched_at) AS first_at, max(fetched_at) AS last_at, count(DISTINCT fetched_at) AS bodies
            FROM spoken GROUP BY system_id, name, word),
        spoken_anew AS (
            SELECT learnt.system_id, learnt.feed, learnt.path, 'word' AS drift,
                   (SELECT string_agg(known.word, ', ' ORDER BY known.word) FROM learnt AS known
                    WHERE known.system_id = learnt.system_id AND known.name = learnt.name
                          AND known.first_at < learnt.first_at) AS before,
                   learnt.word AS now, max(earlier.fetched_at) AS before_at, first_at, last_at, bodies
            FROM learnt JOIN fields AS earlier
                 ON earlier.system_id = learnt.system_id AND earlier.feed = learnt.feed AND earlier.path = learnt.path
                 AND earlier.words IS NOT NULL AND earlier.fetched_at >= first_at - {_WEEK}
                 AND earlier.fetched_at < first_at
            WHERE (learnt.name, learnt.word) NOT IN ({named})
            GROUP BY ALL HAVING count(*) >= {BODIES_BEFORE})"""


def _has_no_unit() -> str:
    return f"regexp_matches(name, '{NO_UNIT}')"


def _list(names: Iterable[str]) -> str:
    return "(" + ", ".join(f"'{name}'" for name in names) + ")"
