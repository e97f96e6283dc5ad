"""What keeps the lake small and quick, as assets."""
