"""A module that cannot be loaded: the process that tries to ends."""

raise SystemExit
