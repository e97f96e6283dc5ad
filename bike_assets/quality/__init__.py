"""Every check as plain code over DuckDB: for Dagster, the command line and the tests."""
