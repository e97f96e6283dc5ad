"""What a Spark driver is made of, and how it serves others; said without loading Spark."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class SparkHome:
    """What a session is made of: where it runs, its heap, its Java and its jars."""

    master: str
    memory: str
    java_home: Path
    jars: Sequence[Path]


@dataclass(frozen=True, slots=True)
class Serving:
    """How a resident driver serves others by Spark Connect, on loopback only: whoever knows the token may ask."""

    port: int
    token: str

    @property
    def url(self) -> str:
        """Where a client connects to. By this name the token may go without TLS, and by no other."""
        return f"sc://localhost:{self.port}/;token={self.token}"
