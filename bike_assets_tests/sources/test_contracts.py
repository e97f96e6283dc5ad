"""The table of JCDecaux's contracts."""

import json
from zoneinfo import ZoneInfo

from bike_assets.sources.jcdecaux.contracts import Contract, contract
from bike_assets_tests.sources.builders import RECORDINGS

TABLE = json.loads((RECORDINGS.parent / "jcdecaux_contracts.json").read_text(encoding="utf-8"))


def test_a_contract_is_found_in_any_case() -> None:
    assert contract("Besancon") == contract("besancon") == Contract("Besançon", "FR", "Europe/Paris")
    assert contract("atlantis") is None


def test_every_contract_has_a_time_zone_that_exists() -> None:
    assert len(TABLE) > 30
    for name in TABLE:
        known = contract(name)
        assert known is not None
        assert ZoneInfo(known.timezone).key == known.timezone
        assert len(known.country) == 2
        assert name == name.lower()
