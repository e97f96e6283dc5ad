"""The resident Spark job: topics to `events.*`, and committed events to `live.*`."""
