"""Dagster and nothing else: assets declare, the work is a plain call."""
