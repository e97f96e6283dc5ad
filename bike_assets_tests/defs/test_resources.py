"""Which driver a run takes: the resident one only where it can be reached."""

import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from bike_assets.defs.resources import Bike, Spark
from bike_assets.heartbeats import FRESH_S, heartbeat


@pytest.fixture
def driver() -> Iterator[int]:
    """The port of something that listens on loopback, as a resident driver does."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@pytest.fixture
def beating(tmp_path: Path) -> Path:
    """A home's directory of a stream that is up."""
    heartbeat(tmp_path, "stream")({})
    (tmp_path / "spark.token").write_text("secret")
    return tmp_path


def spark(run: Path, port: int) -> Spark:
    return Spark(bike=Bike(), run_directory=str(run), port=port, master="local[1]", memory="1g")


def resident(run: Path, port: int) -> dict[str, str] | None:
    return spark(run, port)._resident()


def test_a_run_takes_the_resident_driver(beating: Path, driver: int) -> None:
    assert resident(beating, driver) == {"spark.remote": f"sc://localhost:{driver}/;token=secret"}


def test_a_stream_that_is_down_serves_nobody(tmp_path: Path, beating: Path, driver: int) -> None:
    file = beating / "stream.heartbeat.json"
    old = datetime.now(UTC) - timedelta(seconds=FRESH_S + 1)
    file.write_text(f'{{"pid": 1, "at": "{old.isoformat()}"}}')
    assert resident(beating, driver) is None
    file.unlink()
    assert resident(beating, driver) is None


def test_a_stream_that_beats_in_another_container_is_out_of_reach(beating: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert resident(beating, port) is None


class ASession:
    """Stands in for a session of Spark Connect: whether a driver still keeps one, no client can ask it."""

    is_kept = False

    def stop(self) -> None:
        self.is_kept = False


def test_a_run_gives_its_session_back_to_the_resident_driver(
    beating: Path, driver: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Lazy:
        def __init__(self, spark_config: dict[str, str]) -> None:
            assert "spark.remote" in spark_config
            self.spark_session = session
            session.is_kept = True

    session = ASession()
    monkeypatch.setattr("dagster_pyspark.LazyPySparkResource", Lazy)

    @dg.asset
    def asks(spark: Spark) -> None:
        spark.session()
        assert session.is_kept

    assert dg.materialize([asks], resources={"bike": Bike(), "spark": spark(beating, driver)}).success
    assert not session.is_kept
