"""Tests of bike_assets/ingest: without Kafka, but for what only a broker can show."""
