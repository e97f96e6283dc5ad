"""What Dagster's launchpad says of what can be filled in."""

from bike_assets.definitions import defs


def test_every_field_of_an_assets_configuration_says_what_it_is_for() -> None:
    silent, seen = [], 0
    for asset in defs.resolve_asset_graph().assets_defs:
        shape = asset.op.config_schema.config_type if asset.is_executable else None
        for name, field in getattr(shape, "fields", {}).items():
            seen += 1
            if not field.description:
                silent.append(f"{asset.key.to_user_string()}: {name}")
    assert seen
    assert silent == []
