import inspect

import pytest

from bike_assets.model import errors
from bike_assets.model.errors import (
    BikeAssetsError,
    BrokerUnavailable,
    CustomersUnavailable,
    DatabaseDown,
    DatabaseFull,
    DatabaseReadOnly,
    FeedError,
    FeedMalformed,
    NotForgotten,
    NotSent,
    RegistryDown,
    SinkUnavailable,
    SparkLost,
)

OURS = [each for _, each in inspect.getmembers(errors, inspect.isclass)]


@pytest.mark.parametrize("error", OURS, ids=lambda error: error.__name__)
def test_every_error_is_one_that_the_command_line_prints_as_a_sentence(error: type[Exception]) -> None:
    assert issubclass(error, BikeAssetsError)
    assert error.__doc__


def test_an_error_of_a_feed_says_whose() -> None:
    error = FeedMalformed("oslo", "no data")
    assert isinstance(error, FeedError)
    assert str(error) == "oslo: no data"
    assert (error.system_id, error.reason) == ("oslo", "no data")


def test_only_what_may_pass_by_itself_is_tried_again() -> None:
    assert [each for each in OURS if getattr(each, "retryable", False)] == [
        BrokerUnavailable, CustomersUnavailable, DatabaseDown, DatabaseFull, DatabaseReadOnly, NotForgotten, NotSent,
        RegistryDown, SinkUnavailable, SparkLost,
    ]  # fmt: skip
