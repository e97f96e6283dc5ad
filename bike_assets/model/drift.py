"""What counts as a drift of a feed: the numbers that define it, and what is known of fields by their names.

A field goes by the last name of its path, as GBFS and JCDecaux write it.
"""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum


class Drift(StrEnum):
    """How a field differs from what it was in the week before."""

    GONE = "gone"
    """Nearly all objects had it, hardly one has it now."""
    TYPE = "type"
    """Its values are of another kind: a text where there was a number, a text that is no time where there was one."""
    UNIT = "unit"
    """Its numbers are many times what they were, or the same part of them: seconds and milliseconds, metres and km."""
    SWAPPED = "swapped"
    """A latitude where the longitude was, and the other way round."""
    WORD = "word"
    """A word that neither the field had nor its specification names."""


REFERENCE = timedelta(days=7)
"""A body is compared with those of so long before it; a drift is told for as long after it began."""

BODIES_BEFORE = 2
"""So few bodies are no custom: nothing is compared with them."""

GIVEN_BEFORE, GIVEN_NOW = 0.9, 0.1
"""A field is gone where at least this share of the objects had it and less than that has it."""

TIMES = 8
"""A unit is another one where both the median and the furthest of the numbers became so many times what they were,
or that part of them. The least that units differ by is 10; nothing but a unit moves both so far.
"""

DEGREES = 1.0
"""Medians of places that are nearer are the same place: cities whose latitude and longitude are, tell no swap."""

LATITUDES = ("lat", "latitude")
LONGITUDES = ("lon", "lng", "longitude")

NO_UNIT = r"^(num_.*|available_.*|bikes|stands|.*Bikes|count|ttl|.*_ttl)$"
"""Counts of what is there just now, and how long a body holds: they may be many times what they were tomorrow."""

WORDS: Mapping[str, frozenset[str]] = {
    "status": frozenset({"OPEN", "CLOSED"}),
    "version": frozenset(),
    "vehicle_type_id": frozenset(),
    "form_factor": frozenset({
        "bicycle", "cargo_bicycle", "car", "moped", "scooter", "scooter_standing", "scooter_seated", "other"}),
    "propulsion_type": frozenset({
        "human", "electric_assist", "electric", "combustion", "combustion_diesel", "hybrid", "plug_in_hybrid",
        "hydrogen_fuel_cell"}),
    "rental_methods": frozenset({
        "key", "creditcard", "paypass", "applepay", "androidpay", "transitcard", "accountnumber", "phone"}),
    "parking_type": frozenset({
        "parking_lot", "street_parking", "underground_parking", "sidewalk_parking", "other"}),
    "return_constraint": frozenset({"free_floating", "roundtrip_station", "any_station", "hybrid"}),
}  # fmt: skip
"""Fields of one word out of a few, and those that the specifications name: https://github.com/MobilityData/gbfs, 1.0 to
3.0, and JCDecaux's `status`. Where these name none, only what a system had before is known.
"""
