"""Which answers of `raw/` bring back what was refused, and where they do not suffice."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import zstandard

from bike_assets.ingest.recordings import encode_line
from bike_assets.local.rejections import instant_of, kept_answers, raws_of, refuse_gaps
from bike_assets.model.answers import ALL_CONTRACTS, Answer
from bike_assets.model.errors import NotReplaced, SomethingMissing, WrongSettings
from bike_assets.settings import Settings, load_settings
from bike_assets_tests.ingest.builders import GBFS, JCDECAUX, TOWN, after, decoded, status

STATUS = "station_status"


@pytest.fixture
def settings(bare_directory: Path) -> Settings:
    return load_settings()


def keep(settings: Settings, *given: Answer) -> None:
    """In one file an hour, as the poller does."""
    keep_in(settings.raw, *given)


def keep_in(raw: Path, *given: Answer) -> None:
    for answer in given:
        path = raw / f"{answer.fetched_at:%Y-%m-%d}" / f"{answer.fetched_at:%H}-000000.jsonl.zst"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(zstandard.compress(encode_line(answer)))


def polls(*minutes: int, feed: str = STATUS) -> set[tuple[str, datetime]]:
    return {(feed, after(minutes=minute)) for minute in minutes}


def of(answer: Answer, minute: int) -> Answer:
    return replace(answer, fetched_at=after(minutes=minute))


SHARED = decoded(JCDECAUX.poll(after(), TOWN) | {"system_id": ALL_CONTRACTS})


def test_all_feeds_of_a_system_from_then_on_are_taken_and_no_others(settings: Settings) -> None:
    own = [of(status(), minute) for minute in (0, 1, 61)]
    described = decoded(GBFS.information(after(minutes=2), {"1": "Square"}))
    keep(settings, *own[:2], described, replace(own[1], system_id="another"), own[2], of(SHARED, 1))
    found = kept_answers([settings.raw], own[0].system_id, after(minutes=1), polls(1, 61))
    assert [(each.feed, each.fetched_at) for each in found] == [
        (own[1].feed, own[1].fetched_at), (described.feed, described.fetched_at), (own[2].feed, own[2].fetched_at)]


def test_of_answers_with_all_contracts_a_system_gets_its_part_where_it_was_polled_by_them(settings: Settings) -> None:
    failed = replace(SHARED, body=None, http_status=503)
    keep(settings, of(SHARED, 0), of(failed, 1), of(SHARED, 2))
    found = list(kept_answers([settings.raw], "jcdecaux:made", after(), polls(0, 1)))
    assert [(each.system_id, each.fetched_at, each.http_status) for each in found] == [
        ("jcdecaux:made", after(), 200), ("jcdecaux:made", after(minutes=1), 503)]
    assert all(each.is_shared for each in found)


def test_raw_that_holds_every_poll_suffices(settings: Settings) -> None:
    keep(settings, of(status(), 0), of(status(), 1), of(status(), 2))
    refuse_gaps([settings.raw], status().system_id, after(), polls(0, 1))


def test_where_raw_begins_later_it_says_since_when_it_holds_answers(settings: Settings) -> None:
    keep(settings, of(status(), 5), of(status(), 6))
    with pytest.raises(NotReplaced, match=r"raw holds answers of made_gbfs since 2026-06-01 12:05:00 UTC only, and the "
                                          r"first poll to restore was at 2026-06-01 12:00:00 UTC\. .* by --raw\.$"):
        refuse_gaps([settings.raw], status().system_id, after(), polls(0, 5, 6))


def test_where_raw_holds_nothing_it_says_so(settings: Settings) -> None:
    with pytest.raises(NotReplaced, match="raw holds no answer of made_gbfs, and"):
        refuse_gaps([settings.raw], status().system_id, after(), polls(0))


def test_a_poll_that_raw_lost_is_not_lost_by_a_restore(settings: Settings) -> None:
    keep(settings, of(status(), 0), of(status(), 3))
    with pytest.raises(NotReplaced, match=r"lacks 2 of the 4 polls of made_gbfs since .*, the last of them at "
                                          r"2026-06-01 12:02:00 UTC: restore from after it"):
        refuse_gaps([settings.raw], status().system_id, after(), polls(0, 1, 2, 3))


def test_what_several_pollers_had_in_turn_is_read_in_the_order_of_time(settings: Settings, tmp_path: Path) -> None:
    """Each hour has a file in each home, and other systems' answers before and between."""
    others = [tmp_path / "second", tmp_path / "third"]
    turns = {settings.raw: (0, 1, 4, 61), others[0]: (2, 3, 62), others[1]: (5, 6, 60, 63)}
    for raw, minutes in turns.items():
        for minute in minutes:
            keep_in(raw, replace(of(status(), 30), system_id="another"), of(status(), minute))
    raws = raws_of(settings, [*others, others[0]])
    wanted = polls(*range(7), *range(60, 64))
    refuse_gaps(raws, status().system_id, after(), wanted)
    found = [each.fetched_at for each in kept_answers(raws, status().system_id, after(), wanted)]
    assert found == sorted(at for _, at in wanted)
    with pytest.raises(NotReplaced, match=rf"^{settings.raw.resolve()} with {others[0]} lacks 4 of the 11 polls"):
        refuse_gaps(raws[:2], status().system_id, after(), wanted)


def test_a_raw_that_is_none_is_refused(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(SomethingMissing, match=r"nowhere is no directory: give the raw/ of a poller's home\.$"):
        raws_of(settings, [tmp_path / "nowhere"])


@pytest.mark.parametrize(("text", "at"), [
    ("2026-06-01", datetime(2026, 6, 1, tzinfo=UTC)), ("2026-06-01T12:30", datetime(2026, 6, 1, 12, 30, tzinfo=UTC)),
    ("2026-06-01 14:30+02:00", datetime(2026, 6, 1, 12, 30, tzinfo=UTC)),
])
def test_a_time_is_utc_where_it_has_no_offset(text: str, at: datetime) -> None:
    assert instant_of(text) == at


def test_what_is_no_time_is_refused_with_one_that_is() -> None:
    with pytest.raises(WrongSettings, match=r"^yesterday is no time: give a day or a time of UTC, as 2026-11-20T10:30"):
        instant_of("yesterday")
