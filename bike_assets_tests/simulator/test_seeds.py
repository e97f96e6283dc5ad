"""A city goes on where a recording ends, or is made of a seed alone."""

import json
import lzma
from pathlib import Path
from typing import Any

import pytest

import bike_assets
from bike_assets.model.errors import NotARecording
from bike_assets.simulator import gbfs, jcdecaux
from bike_assets.simulator.city import City
from bike_assets.simulator.seeds import city_from_recording, generated_city
from bike_assets_tests.simulator.builders import MORNING, after

RECORDINGS = Path(bike_assets.__file__).parent / "data" / "recordings"
BESANCON = RECORDINGS / "besancon_jcdecaux_v1_2014-05-22.jsonl.xz"
OSLO = RECORDINGS / "oslo_gbfs_2024-11-30.jsonl.xz"


def written(path: Path, lines: list[Any]) -> Path:
    with lzma.open(path, "wt") as file:
        file.writelines(json.dumps(each) + "\n" for each in lines)
    return path


def last_body(path: Path, feed: str) -> Any:
    with lzma.open(path, "rt") as lines:
        return next(
            line["body"] for line in map(json.loads, reversed(list(lines))) if line["feed"] == feed
        )


def without(rows: list[dict[str, Any]], *keys: str) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key not in keys} for row in rows]


def gbfs_rows(city: City, name: str) -> list[dict[str, Any]]:
    body = gbfs.feed(city, name, "http://127.0.0.1", 5)
    assert body is not None
    rows: list[dict[str, Any]] = json.loads(body)["data"]["stations"]
    return rows


def test_besancon_goes_on_from_its_last_answer() -> None:
    city = city_from_recording(BESANCON, 1, MORNING)
    assert (city.system_id, city.name, city.timezone) == ("jcdecaux:besancon", "Besancon", "Europe/Paris")
    recorded = last_body(BESANCON, "jcdecaux.v1.stations")
    assert without(jcdecaux.stations(city), "last_update") == without(recorded, "last_update")


def test_oslo_goes_on_from_its_last_status() -> None:
    city = city_from_recording(OSLO, 1, MORNING)
    assert (city.system_id, city.timezone) == ("oslobysykkel", "Europe/Oslo")
    recorded = last_body(OSLO, "gbfs.station_status")["data"]["stations"]
    assert without(gbfs_rows(city, "station_status"), "last_reported") == without(recorded, "last_reported")


def test_oslos_stations_are_described_as_recorded() -> None:
    city = city_from_recording(OSLO, 1, MORNING)
    recorded = {row["station_id"]: row for row in last_body(OSLO, "gbfs.station_information")["data"]["stations"]}
    rows = gbfs_rows(city, "station_information")
    assert len(rows) == 239
    for row in rows:
        of = recorded[row["station_id"]]
        assert without([row], "capacity") == without([of], "capacity")
        assert row["capacity"] >= of["capacity"]


@pytest.mark.parametrize("recording", [BESANCON, OSLO])
def test_a_recorded_city_lives(recording: Path) -> None:
    city = city_from_recording(recording, 1, MORNING)
    before = [each.bikes for each in city.stations]
    city.advance(after(minutes=10))
    assert sum(was != now.bikes for was, now in zip(before, city.stations, strict=True)) > 5


def test_a_generated_city_is_the_same_for_its_seed() -> None:
    one, same, other = (generated_city(40, seed, MORNING, (60.0, 10.0)).stations for seed in (1, 1, 2))
    assert one == same != other
    assert len({each.name for each in one}) == 40
    assert any(each.ebikes for each in one)


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["text"],
        [{"system_id": "x", "feed": "gbfs.station_status", "body": {"data": {"stations": []}}}],
        [{"system_id": "jcdecaux:x", "feed": "jcdecaux.v1.stations", "body": []}],
        [{"system_id": "jcdecaux:x", "feed": "jcdecaux.v1.stations", "body": [{"number": 1}]}],
    ],
)
def test_a_recording_without_stations_is_refused_by_name(lines: list[Any], tmp_path: Path) -> None:
    with pytest.raises(NotARecording, match=r"short\.jsonl\.xz"):
        city_from_recording(written(tmp_path / "short.jsonl.xz", lines), 1, MORNING)


def test_a_file_that_is_no_recording_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.jsonl.xz").write_text("not compressed")
    with pytest.raises(NotARecording, match=r"text\.jsonl\.xz"):
        city_from_recording(tmp_path / "text.jsonl.xz", 1, MORNING)
