"""Distances on the earth."""

from pyspark.sql import Column
from pyspark.sql import functions as F  # noqa: N812

from bike_assets.model.constants import EARTH_RADIUS_M


def metres_between(lat: Column, lon: Column, other_lat: Column, other_lon: Column) -> Column:
    """The distance of two places in degrees, m, along the great circle (haversine); null where one is not known."""
    north, east = (F.radians(there - here) / 2 for here, there in ((lat, other_lat), (lon, other_lon)))
    chord = F.sin(north) ** 2 + F.cos(F.radians(lat)) * F.cos(F.radians(other_lat)) * F.sin(east) ** 2
    # Rounding may lift the chord above 1; `least` would take 1 for a place that is not known.
    return 2 * EARTH_RADIUS_M * F.asin(F.sqrt(F.when(chord > 1, 1.0).otherwise(chord)))
