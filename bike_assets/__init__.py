"""Bike-share feeds through Kafka, Spark and Delta Lake to numbers that can be trusted, under Dagster."""
