"""Where the tables live, how they are made, and how they are read without Spark."""
