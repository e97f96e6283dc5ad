"""From answers to committed Kafka records: memory, change detection, the transactional writer, replay."""
