"""What the project promises of its speed and size, measured: `python -m bench`, one JSON line a result."""
