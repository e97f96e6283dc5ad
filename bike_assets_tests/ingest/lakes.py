"""What a stand-in of Kafka committed, as the tables that the stream makes of it."""

from pathlib import Path

from bike_assets.model.topics import POLLED
from bike_assets_tests.ingest.stand_in import StandInKafka
from bike_assets_tests.lake.rows import write


def write_lake(lake: Path, kafka: StandInKafka) -> Path:
    """Append all that was committed to the tables of its topics."""
    for topic in POLLED:
        if topic.table is not None:
            instant = next(name for name in reversed(topic.table.grain) if name.endswith("_at"))
            rows = kafka.rows(topic)
            write(lake, topic.table, ({**row, "utc_date": row[instant].date()} for row in rows))
    return lake
