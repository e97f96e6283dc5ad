"""What leaves the platform: the live page, files, and the databases that the settings name."""
