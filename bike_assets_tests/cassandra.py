"""A real Cassandra for tests: from its jars as a process of this machine, on loopback, gone after it.

It sets a security manager, which Java has no more since 24: it runs on 17, and not on the Java that pip brings.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cassandra.cluster import Cluster, NoHostAvailable

from bike_assets.local.jars import ensure_jars
from bike_assets.local.ports import free_ports
from bike_assets.model.errors import SomethingMissing
from bike_assets_tests.waiting import wait_until

HOST = "127.0.0.1"
LOCK = Path(__file__).with_name("cassandra.lock")
JAVAS = Path("/usr/lib/jvm")

_CONFIG = """\
cluster_name: tests
num_tokens: 1
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
commitlog_sync: periodic
commitlog_sync_period: 10000ms
commit_failure_policy: stop
disk_failure_policy: stop
endpoint_snitch: SimpleSnitch
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters: [{{seeds: "127.0.0.1:{storage}"}}]
listen_address: 127.0.0.1
rpc_address: 127.0.0.1
native_transport_port: {native}
storage_port: {storage}
ssl_storage_port: {secure}
file_cache_size: 32MiB
memtable_allocation_type: heap_buffers
data_file_directories: [{root}/data]
commitlog_directory: {root}/commitlog
saved_caches_directory: {root}/saved
hints_directory: {root}/hints
cdc_raw_directory: {root}/cdc
"""
_EXPORTS = (
    "java.base/jdk.internal.misc", "java.base/jdk.internal.ref", "java.base/sun.nio.ch",
    "java.management.rmi/com.sun.jmx.remote.internal.rmi", "java.rmi/sun.rmi.registry", "java.rmi/sun.rmi.server",
    "java.sql/java.sql", "java.base/java.lang.ref", "java.base/java.lang.reflect", "jdk.unsupported/sun.misc",
)  # fmt: skip
_OPENS = (
    "java.base/java.lang.module", "java.base/jdk.internal.loader", "java.base/jdk.internal.ref",
    "java.base/jdk.internal.reflect", "java.base/jdk.internal.math", "java.base/jdk.internal.module",
    "java.base/jdk.internal.util.jar", "jdk.management/com.sun.management.internal", "java.base/sun.nio.ch",
    "java.base/java.io", "java.base/java.nio", "java.base/java.util", "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic", "java.base/java.lang",
)  # fmt: skip


@dataclass(frozen=True)
class CassandraServer:
    """A server, or a keyspace of it."""

    port: int
    keyspace: str = ""
    pid: int = 0
    root: Path = Path()
    """Where all its files are."""

    @property
    def url(self) -> str:
        return f"cassandra://{HOST}:{self.port}/{self.keyspace}"


def java_17() -> Path:
    """Raises SomethingMissing with how to get it."""
    found = sorted(JAVAS.glob("java-17-openjdk-*/bin/java"))
    if not found:
        raise SomethingMissing("Java 17 was not found: Debian 12 has it as openjdk-17-jre-headless.")
    return found[0]


class Cassandra:
    """A server that can be started again, with what it kept; its jars are fetched into `home` once."""

    def __init__(self, home: Path, root: Path, disk: Path) -> None:
        """`root` gets its settings and its log, `disk` all that it keeps."""
        self._java = java_17()
        self._jars = ensure_jars(home / "cassandra", self._java.parents[1], lock=LOCK).cassandra
        self._root, self._disk = root, disk
        self._port, storage, secure = free_ports(3)
        self._config, self._log = root / "cassandra.yaml", root / "log"
        self._config.write_text(_CONFIG.format(root=disk, native=self._port, storage=storage, secure=secure))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> CassandraServer:
        """As soon as it answers."""
        command = [
            str(self._java), "-Xms512m", "-Xmx512m", "-Xss512k", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
            "-XX:-CreateCoredumpOnCrash",
            *(word for each in _EXPORTS for word in ("--add-exports", f"{each}=ALL-UNNAMED")),
            *(word for each in _OPENS for word in ("--add-opens", f"{each}=ALL-UNNAMED")),
            "-Djdk.attach.allowAttachSelf=true", f"-Dcassandra.config={self._config.as_uri()}",
            f"-Dcassandra.storagedir={self._disk}", "-Dcassandra-foreground=yes",
            "-Dcassandra.skip_wait_for_gossip_to_settle=0", "-Dcassandra.ring_delay_ms=1",
            "-Dcassandra.native.epoll.enabled=false", "-Dio.netty.transport.noNative=true",
            "-cp", ":".join(map(str, self._jars)), "org.apache.cassandra.service.CassandraDaemon",
        ]  # fmt: skip
        with self._log.open("ab") as log:
            process = subprocess.Popen(command, cwd=self._root, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._process = process
        wait_until(lambda: _answers(self._port) or process.poll() is not None, 120)
        assert process.poll() is None, self._log.read_text()[-3000:]
        return CassandraServer(self._port, pid=process.pid, root=self._disk)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)


@contextmanager
def cassandra_server(home: Path) -> Iterator[CassandraServer]:
    """A server for as long as the block runs, in a directory of its own."""
    root = Path(tempfile.mkdtemp(prefix="bike-cassandra-"))
    try:
        server = Cassandra(home, root, root)
        try:
            yield server.start()
        finally:
            server.kill()
    finally:
        shutil.rmtree(root)


def _answers(port: int) -> bool:
    with Cluster([HOST], port=port) as cluster:
        try:
            cluster.connect()
        except NoHostAvailable:
            return False
        return True
