"""The lake: tables as the model wants them, and what DuckDB makes of them."""
