"""What Dagster loads and runs."""
