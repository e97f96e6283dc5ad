"""What is exported is what the tables hold."""
