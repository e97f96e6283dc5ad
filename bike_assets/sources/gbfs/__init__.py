"""The General Bikeshare Feed Specification, one module a major version."""
