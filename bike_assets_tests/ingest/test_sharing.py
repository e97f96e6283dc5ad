"""Who holds off the pollers says so when it cannot. How they share, over a real Kafka: faults/test_two_pollers.py."""

import pytest

from bike_assets.ingest.sharing import Sole
from bike_assets.model.errors import BrokerUnavailable

NOWHERE = "127.0.0.1:9"


def test_whoever_can_hold_the_pollers_off_no_longer_is_told_before_anything_is_written() -> None:
    sole = Sole(NOWHERE)
    sole.check()
    sole._consumer.close()  # as any trouble of librdkafka's, it is met by the thread that stays in the group
    sole._thread.start()
    sole._thread.join()
    with pytest.raises(BrokerUnavailable, match=r"^The pollers of .*:9 could not be held off: .+\. Do it again"):
        sole.check()
    sole.end()
