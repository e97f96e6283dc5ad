"""The image and its services."""
