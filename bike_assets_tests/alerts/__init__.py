"""Incidents and the channels they are told to."""
