"""What was remembered of systems at an instant: what the compacted topics held of them then."""

from collections.abc import Collection

from msgspec import Struct

from bike_assets.model.messages import (
    StationInformation,
    StationState,
    SystemInformation,
    SystemState,
    VehicleFeedState,
    VehicleState,
)


class Past(Struct, frozen=True):
    """The state of systems and stations, and what they are; of a system that nobody had polled, nothing."""

    system_states: list[SystemState]
    station_states: list[StationState]
    stations: list[StationInformation]
    systems: list[SystemInformation]
    vehicle_feeds: list[VehicleFeedState]
    vehicles: list[VehicleState]

    def of(self, system_ids: Collection[str]) -> "Past":
        """That of these systems alone."""
        return Past(
            [each for each in self.system_states if each.system_id in system_ids],
            [each for each in self.station_states if each.system_id in system_ids],
            [each for each in self.stations if each.system_id in system_ids],
            [each for each in self.systems if each.system_id in system_ids],
            [each for each in self.vehicle_feeds if each.system_id in system_ids],
            [each for each in self.vehicles if each.system_id in system_ids],
        )
