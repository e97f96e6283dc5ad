"""The domain in types: what every layer knows, and nothing that reads, writes or connects."""
