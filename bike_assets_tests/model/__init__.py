"""The model: readings, tables, topics, errors."""
