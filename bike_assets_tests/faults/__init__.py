"""The whole path when something goes wrong: killed, deleted, down, busy, or never any good."""
