"""The checks: each seen to pass and to fail."""
