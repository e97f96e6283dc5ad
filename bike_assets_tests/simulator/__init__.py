"""Tests of the simulated systems."""
