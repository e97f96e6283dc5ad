"""`python -m bench` measures everything, `python -m bench ingest` one thing."""

import sys
from importlib import import_module

BENCHES = ("ingest", "start", "freshness", "warehouse", "year", "control_room", "parsers", "thousand",
           "mutations", "export", "vehicles", "orders", "members")  # fmt: skip


def main() -> None:
    """Run the benches that are named, all where none is."""
    unknown = sorted(set(sys.argv[1:]) - set(BENCHES))
    if unknown:
        sys.exit(f"no bench is called {unknown[0]}: there are {', '.join(BENCHES)}")
    for name in sys.argv[1:] or BENCHES:
        import_module(f"bench.{name}").run()


main()
