"""Every error that the project raises on purpose: one sentence that a person can act on."""


class BikeAssetsError(Exception):
    """The root: the command line prints it as one sentence, without a traceback."""

    retryable = False
    exit_status = 1
    """What a command ends with that it ended."""


class WrongSettings(BikeAssetsError):
    """A settings or sources file says something that cannot be meant."""


class SomethingMissing(BikeAssetsError):
    """A part that is needed is not there; the sentence says how to get it."""


class AlreadyRunning(BikeAssetsError):
    """Another process holds what this one needs to hold alone."""


class NotPrivate(BikeAssetsError):
    """What must be this user's alone is not: others could take its place, or come in."""


class HalfReplaced(BikeAssetsError):
    """A replacement of history was broken off where nothing else may be written."""


class NotReplaced(BikeAssetsError):
    """Answers cannot take the place of what the tables hold: they would leave less, or what follows hangs on it."""


class NotARecording(BikeAssetsError):
    """A file given as a recording holds a line that is not one."""


class FeedError(BikeAssetsError):
    """One feed gave nothing usable."""

    def __init__(self, system_id: str, reason: str) -> None:
        super().__init__(f"{system_id}: {reason}")
        self.system_id, self.reason = system_id, reason


class FeedMalformed(FeedError):
    """A body that is no JSON, or whose envelope is not the feed's."""


class BrokerUnavailable(BikeAssetsError):
    """Kafka did not answer, or did not commit, in time: try again."""

    retryable = True


class KafkaRefuses(BikeAssetsError):
    """Kafka will not take this, however often it is tried."""


class Fenced(BikeAssetsError):
    """Another writer took this partition over; this one must stop, and not be started again."""

    exit_status = 4


class LakeBroken(BikeAssetsError):
    """A Delta table cannot be read or written; the sentence names it."""


class SparkLost(BikeAssetsError):
    """The Spark driver went away at work; a session with the one that comes after it does the same work."""

    retryable = True


class ServiceNotReady(BikeAssetsError):
    """A service did not come up, or did not do what was asked of it, in time."""


class CustomersUnavailable(BikeAssetsError):
    """The database with the list of customers does not answer: they stay as they are until it does."""

    retryable = True


class CustomersLost(BikeAssetsError):
    """A list lacks most of the customers that it had: they stay as they are unless somebody says that it is so."""


class SinkUnavailable(BikeAssetsError):
    """A database did not take what is to be in it: it is tried again until it does."""

    retryable = True


class WrongDay(BikeAssetsError):
    """A day that is none, or for which nothing can be there."""


class NotBuilt(BikeAssetsError):
    """A table of the warehouse was not built, or a check found it wrong."""


class WrongQuery(BikeAssetsError):
    """A question that the tables cannot answer as it was put."""


class NotExported(BikeAssetsError):
    """The files of an export could not be written; what was there before is as it was."""


class NotSent(BikeAssetsError):
    """A channel did not take an alert; it is sent again."""

    retryable = True


class NotWritten(BikeAssetsError):
    """A file that was asked for cannot be written."""


class NotForgotten(BikeAssetsError):
    """A member is not gone from everywhere yet: the same command goes on with it."""

    retryable = True


class UnknownMember(BikeAssetsError):
    """Nobody is known by what was given."""


class RegistryDown(BikeAssetsError):
    """The schema registry did not answer, or not as one: the next start of the poller tries again."""

    retryable = True


class RegistryRefuses(BikeAssetsError):
    """The schema registry will not take a schema, however often it is tried."""


class NotServed(BikeAssetsError):
    """A database was not brought up to date: each day in it is whole, the one of before or the new one."""


class DatabaseDown(NotServed):
    """It does not answer, is too busy, or went away at work: the same export does it later."""

    retryable = True


class DatabaseReadOnly(NotServed):
    """It takes no writes now, as a standby does: the same export does it later."""

    retryable = True


class DatabaseFull(NotServed):
    """It has no room: the same export does it once there is some."""

    retryable = True


class DatabaseRefuses(NotServed):
    """It will not take this, however often it is tried."""
