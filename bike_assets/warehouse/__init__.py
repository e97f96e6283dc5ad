"""The warehouse: each table a pure function of frames and plain values. Nothing here reads a path or a clock."""
