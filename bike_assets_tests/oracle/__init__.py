"""A second, independent reading of recordings: what the tables must hold, worked out without the project's code."""
