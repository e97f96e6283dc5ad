"""What runs on this machine: Java, jars, the broker, and the processes that `bike up` keeps alive."""
