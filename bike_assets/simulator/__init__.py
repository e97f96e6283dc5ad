"""Bike-share systems that behave like real ones and answer over HTTP: for the demo, the tests, the bench."""
