"""How far the stream is behind the topics."""

from bike_assets.stream.offsets import lag


def test_lag_counts_what_is_still_to_come() -> None:
    wanted = {"polls": {"0": 10, "1": 4}, "rejections": {"0": 0, "1": 0}}
    assert lag({"polls": {"0": 7, "1": 4}}, wanted) == 3
    assert lag({}, wanted) == 14
    assert lag({"polls": {"0": 12, "1": 4}}, wanted) == 0
