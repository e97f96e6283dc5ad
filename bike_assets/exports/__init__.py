"""The warehouse taken elsewhere: files that need nothing of this project to be read, and other databases."""
