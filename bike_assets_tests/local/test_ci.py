"""The days of a recording, and a home of its own to check them in."""

import os
from datetime import date
from pathlib import Path

import pytest

from bike_assets.local.ci import days_of, own_settings
from bike_assets.model.errors import NotARecording
from bike_assets.settings import load_settings
from bike_assets_tests.oracle.made import CITIES, Station, write

STATIONS = {"1": Station(3, 7)}


def test_days_in_a_row_are_built_together_and_others_apart(tmp_path: Path) -> None:
    first = write(tmp_path / "a.jsonl", [CITIES[0].poll(at, STATIONS) for at in ("03 23:59:59", "04 00:00:00")])
    second = write(tmp_path / "b.jsonl.gz", [CITIES[0].poll(at, STATIONS) for at in ("05 12:00:00", "09 12:00:00")])
    assert days_of([second, first]) == [(date(2024, 3, 3), date(2024, 3, 5)), (date(2024, 3, 9), date(2024, 3, 9))]


def test_a_recording_without_an_answer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotARecording, match=r"empty\.jsonl: no answer stands in it\.$"):
        days_of([write(tmp_path / "empty.jsonl", [])])


def test_the_home_is_no_part_of_the_users_but_for_the_jars(bare_directory: Path) -> None:
    root = bare_directory / "own"
    root.mkdir()
    environment = dict(os.environ)
    try:
        own = own_settings(load_settings(kafka="theirs:9092"), root, date(2013, 5, 1))
        assert (own.home, own.kafka, own.first_day) == (root, None, date(2013, 5, 1))
        assert (root / "jars").readlink() == bare_directory / "var" / "jars"
        told = load_settings()
        assert (told.home, told.first_day, told.kafka_port) == (root, own.first_day, own.kafka_port)
        assert len({own.kafka_port, own.kafka_controller_port, own.spark_port}) == 3
    finally:
        os.environ.clear()
        os.environ.update(environment)
