"""What leaves the platform: the live page, and files."""
