"""The whole path as a user walks it: the command line, a real broker, real Spark, real files."""
