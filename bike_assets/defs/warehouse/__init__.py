"""The warehouse's tables as assets, and their checks."""
