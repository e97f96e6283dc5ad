"""The live page: every station as it is now, in memory, fed from Kafka and sent on as it changes."""
