"""The real Kafka broker as a process of this machine: one KRaft node, from plain jars, on 127.0.0.1 only.

All of its state lies in `<home>/kafka`. It may be ended in any way: what was committed is there after a
restart, as the state is in the files and the operating system writes them.
"""

import base64
import fcntl
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self

from bike_assets.files import write_whole
from bike_assets.local.leftovers import CHILD_MARK
from bike_assets.local.ports import broker_ports
from bike_assets.model.errors import AlreadyRunning, BrokerUnavailable, ServiceNotReady, WrongSettings
from bike_assets.model.topics import TOPICS

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

HOST = "127.0.0.1"

_STATE = Path("kafka")
_CONFIG = Path("run", "kafka.properties")
_LOG = Path("logs", "kafka.log")
# Relative paths, with the home as working directory: no path of a person's has to survive Java's
# property files, commas in a list of directories, or another locale; and a home may be moved.
_PROPERTIES = """\
# Written by bike_assets at each start of its broker.
node.id=1
process.roles=broker,controller
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
controller.quorum.voters=1@{host}:{controller_port}
log.dirs={state}

# One node keeps one copy.
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1

# Topics are made on purpose, and readers start without waiting for others.
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
log.retention.hours=168

# After a kill the broker's former self counts as alive for so long, and the new one has to wait.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500

# A laptop: few files, few threads, little memory.
offsets.topic.num.partitions=4
transaction.state.log.num.partitions=4
share.coordinator.state.topic.num.partitions=4
num.network.threads=2
num.io.threads=2
background.threads=2
log.segment.bytes=134217728
log.index.size.max.bytes=1048576
log.cleaner.dedupe.buffer.size=8388608
log.cleaner.io.buffer.size=262144
log.cleaner.backoff.ms=2000
"""
STOP_S = 30.0
"""Kafka itself would wait five minutes for its controller to let it go."""
_DUMP_S = 2.0


def write_config(home: Path, port: int, controller_port: int) -> Path:
    """Write the broker's settings; the path is relative to `home`, where the broker runs."""
    (home / _STATE).mkdir(parents=True, exist_ok=True)
    properties = _PROPERTIES.format(host=HOST, port=port, controller_port=controller_port, state=_STATE)
    write_whole(home / _CONFIG, properties.encode())
    return _CONFIG


def format_storage(home: Path, java: Path, jars: Iterable[Path]) -> None:
    """Prepare an empty `<home>/kafka`; one that is prepared stays as it is. Needs the config."""
    if (home / _STATE / "meta.properties").exists():
        return
    # 16 bytes, as Kafka wants; the fixed beginning keeps "-" from being the first letter.
    cluster_id = base64.urlsafe_b64encode(b"bike-kafka" + os.urandom(6)).rstrip(b"=").decode()
    command = [
        *_java_with(java, jars), "kafka.tools.StorageTool", "format",
        "--cluster-id", cluster_id, "--ignore-formatted", "--config", str(_CONFIG),
    ]  # fmt: skip
    done = subprocess.run(command, cwd=home, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServiceNotReady(
            f"Kafka could not prepare {home / _STATE}: {_last_line(done.stdout + done.stderr)}. "
            "Check that the disk is writable and not full."
        )


def broker_command(java: Path, jars: Iterable[Path]) -> list[str]:
    """The broker's command line, to be run in the home directory."""
    return [
        *_java_with(java, jars),
        "-Xms64m", "-Xmx256m", "-Djava.awt.headless=true",
        "-Dorg.slf4j.simpleLogger.showDateTime=true",
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
        "kafka.Kafka", str(_CONFIG),
    ]  # fmt: skip


def run_broker(home: Path, java: Path, jars: Iterable[Path], port: int, controller_port: int) -> NoReturn:
    """Become the broker: this process's id stays, so whoever started it ends the broker by it.

    SIGTERM is a clean stop, which may take Kafka five minutes at worst; the supervisor gives it less. Raises
    AlreadyRunning for a busy port or directory.
    """
    command = _ready_to_run(home, java, list(jars), port, controller_port)
    heed_sigterm()
    os.chdir(home)
    os.execv(command[0], command)  # noqa: S606 - a list of our own, no shell


def wait_for_broker(bootstrap: str, timeout_s: float) -> None:
    """Return once Kafka answers. Raises BrokerUnavailable when it does not in time."""
    from confluent_kafka import KafkaException

    try:
        _admin(bootstrap).list_topics(timeout=timeout_s)
    except KafkaException:
        raise BrokerUnavailable(
            f"Kafka at {bootstrap} did not answer within {timeout_s:g} s: check that it runs, and that "
            "BIKE_KAFKA names it."
        ) from None


def ensure_topics(bootstrap: str, partitions: int, timeout_s: float = 30) -> int:
    """Make the topics that are missing; returns how many partitions each of ours has.

    What exists stays as it is, and the missing get as many partitions as the others have: a system's
    messages stand in the same partition of every topic. `partitions` counts where none exists.
    """
    from confluent_kafka import KafkaError, KafkaException
    from confluent_kafka.cimpl import NewTopic  # where admin takes it from, and says its type

    admin = _admin(bootstrap)
    try:
        known = admin.list_topics(timeout=timeout_s).topics
        existing = {topic.name: len(known[topic.name].partitions) for topic in TOPICS if topic.name in known}
        count = _same_count(existing, partitions)
        # Without a replication factor the cluster's own default holds; our broker's is 1.
        new = [NewTopic(t.name, count, config=t.config) for t in TOPICS if t.name not in existing]
        for made in (admin.create_topics(new, operation_timeout=timeout_s) if new else {}).values():
            made.result(timeout_s)
        _wait_until_known(admin, [topic.topic for topic in new], time.monotonic() + timeout_s)
    except KafkaException as err:
        # Another process made it in the same moment: look again.
        if err.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
            return ensure_topics(bootstrap, partitions, timeout_s)
        raise BrokerUnavailable(
            f"Kafka at {bootstrap} did not make the topics: {err.args[0].str()}."
        ) from None
    return count


def _wait_until_known(admin: "AdminClient", names: list[str], ends: float) -> None:
    """Return once the cluster tells of the topics that it has made: its metadata follow a moment later."""
    while not set(names) <= admin.list_topics(timeout=10).topics.keys():
        if time.monotonic() > ends:
            raise BrokerUnavailable(f"Kafka does not tell of the topics that it made: {', '.join(names)}.")
        time.sleep(0.05)


class LocalBroker:
    """A broker for as long as a `with` lasts; it is this process's child, and ended by its id."""

    def __init__(self, home: Path, java: Path, jars: Iterable[Path], port: int, controller_port: int) -> None:
        self.home, self.java, self.jars = home.absolute(), java, list(jars)
        self.port, self.controller_port = port, controller_port
        self.bootstrap = f"{HOST}:{port}"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int | None:
        """Its process, None when it is not started."""
        return self._process.pid if self._process else None

    def start(self, timeout_s: float = 60) -> None:
        """Start it and return once it answers. Raises AlreadyRunning or ServiceNotReady."""
        command = _ready_to_run(self.home, self.java, self.jars, self.port, self.controller_port)
        log = self.home / _LOG
        log.parent.mkdir(parents=True, exist_ok=True)
        heed_sigterm()
        with log.open("ab") as output:
            # A session of its own: Ctrl-C reaches us, and we end it when nobody needs it any more.
            self._process = subprocess.Popen(
                command, cwd=self.home, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True, env=os.environ | {CHILD_MARK: f"{os.getpid()}:{self.home}"},
            )  # fmt: skip
        try:
            self._wait(self._process, time.monotonic() + timeout_s)
        except BaseException:
            self.stop()
            raise

    def stop(self, within_s: float = STOP_S) -> None:
        """End it cleanly, or by force when it does not end in time; its log says then where it stood."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGQUIT)  # Java writes down what each thread does
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_DUMP_S)
            self._process.kill()
            self._process.wait()
        self._process = None

    def _wait(self, process: subprocess.Popen[bytes], deadline: float) -> None:
        while process.poll() is None and time.monotonic() < deadline:
            try:
                return wait_for_broker(self.bootstrap, timeout_s=1)
            except BrokerUnavailable:
                continue
        log = self.home / _LOG
        said = _last_line(log.read_text(errors="replace"))
        raise ServiceNotReady(f"The local Kafka broker did not start: {said} (see {log}).")


def _ready_to_run(home: Path, java: Path, jars: list[Path], port: int, controller_port: int) -> list[str]:
    """The command line, once the ports and the directory are free and prepared."""
    if is_at_work(home):
        raise AlreadyRunning(
            f"A Kafka broker already runs on {home / _STATE}: end it, or let BIKE_HOME name another home."
        )
    for needed in broker_ports(port, controller_port):
        if not needed.is_free(HOST):
            raise AlreadyRunning(needed.sentence)
    write_config(home, port, controller_port)
    format_storage(home, java, jars)
    return broker_command(java, jars)


def heed_sigterm() -> None:
    """Have what is started from here on end by SIGTERM.

    A process inherits that a signal is ignored, and Java then leaves it so; one that is handled it gets as it is by
    default. Dagster has a process ignore SIGTERM that began with SIGINT ignored, as in the background of a script.
    """
    if signal.getsignal(signal.SIGTERM) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda *_: None)


def is_at_work(home: Path) -> bool:
    """Whether a broker lives on this home's directory, though it may not answer yet.

    Kafka holds a lock on its directory while it lives; the lock file stays, the lock does not.
    """
    lock = home / _STATE / ".lock"
    if not lock.exists():
        return False
    with lock.open("r+b") as held:
        try:
            fcntl.lockf(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def _java_with(java: Path, jars: Iterable[Path]) -> list[str]:
    """Java for a small process: quick to start, and warnings on standard error."""
    return [
        str(java / "bin" / "java"), "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "-cp", os.pathsep.join(str(jar.absolute()) for jar in jars),
    ]  # fmt: skip


def _admin(bootstrap: str) -> "AdminClient":
    from confluent_kafka.admin import AdminClient

    # Quiet: a broker that is not up yet is no news, and our errors say what librdkafka would.
    settings: dict[str, Any] = {
        "bootstrap.servers": bootstrap, "log_level": 0, "error_cb": lambda _: None,
        "reconnect.backoff.ms": 50, "reconnect.backoff.max.ms": 200,
    }  # fmt: skip
    return AdminClient(settings)


def _same_count(existing: dict[str, int], partitions: int) -> int:
    counts = set(existing.values()) or {partitions}
    if len(counts) > 1:
        raise WrongSettings(
            f"The topics must have the same number of partitions, and have {existing}: give the smaller "
            "ones more, or name another Kafka."
        )
    return counts.pop()


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    # A stack trace says what went wrong in its first line, not in its last.
    told = [line for line in lines if not line.startswith(("at ", "... "))]
    return told[-1] if told else "it said nothing"
