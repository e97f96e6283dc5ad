"""The warehouse: each table against hand-made cases, the real recordings, and the oracle."""
