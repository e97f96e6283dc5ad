"""What a demo is told beside the user's settings."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from bike_assets.local.demo import demo_settings
from bike_assets.settings import Settings, load_settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(home=tmp_path)


def first_day(settings: Settings) -> date:
    return demo_settings(settings).first_day


def test_an_empty_home_has_the_days_of_a_week(settings: Settings) -> None:
    assert datetime.now(UTC).date() - first_day(settings) == timedelta(days=7)


def test_a_home_that_knows_older_days_has_them_too(settings: Settings) -> None:
    for day in ("2014-05-22", "2026-11-20"):
        (settings.lake / "events" / "polls" / f"utc_date={day}").mkdir(parents=True)
    assert first_day(settings) == date(2014, 5, 22)


def test_a_first_day_that_the_user_set_stays(tmp_path: Path) -> None:
    assert first_day(load_settings(home=tmp_path, first_day=date(2020, 1, 1))) == date(2020, 1, 1)
