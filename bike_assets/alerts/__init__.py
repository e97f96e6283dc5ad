"""Incidents: what is wrong, told once when it begins and once when it is over."""
