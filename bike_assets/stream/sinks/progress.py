"""How far a database has come with a table of events, as it stands in the database itself."""

import msgspec


class Progress(msgspec.Struct, frozen=True):
    """Of which version of the table it has all."""

    table_id: str
    version: int
    offsets: dict[str, int]
    """The offset behind the last row, by Kafka's partition."""
    forgettings: int = 0
