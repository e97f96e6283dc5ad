"""The dashboard of the sales as files that Superset imports: whole, of the sink's table, and without a secret."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import sqlalchemy as sa
import yaml

from bike_assets.stream.sinks.sql import SALES
from bike_assets_tests.docker.compose import DOCKER, services

ASSETS = DOCKER / "superset" / "assets"
_UUID = {"type": "string", "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"}
_TEXT, _OBJECT = {"type": "string", "minLength": 1}, {"type": "object"}


def _schema(**fields: Any) -> dict[str, Any]:
    return {"type": "object", "required": [*fields, "version"], "properties": {**fields, "version": {"const": "1.0.0"}}}


SCHEMAS = {
    "databases": _schema(database_name=_TEXT, sqlalchemy_uri={"const": "__SALES_DATABASE__"}, uuid=_UUID),
    "datasets": _schema(table_name=_TEXT, columns={"type": "array", "items": _OBJECT, "minItems": 1}, uuid=_UUID,
                        metrics={"type": "array", "items": _OBJECT, "minItems": 1}, database_uuid=_UUID),
    "charts": _schema(slice_name=_TEXT, viz_type=_TEXT, params=_OBJECT, uuid=_UUID, dataset_uuid=_UUID),
    "dashboards": _schema(dashboard_title=_TEXT, slug=_TEXT, position=_OBJECT, metadata=_OBJECT, uuid=_UUID),
}  # fmt: skip
"""What Superset's importers ask of a file of each kind."""


def assets(kind: str) -> dict[Path, dict[str, Any]]:
    return {path: yaml.safe_load(path.read_text()) for path in sorted((ASSETS / kind).rglob("*.yaml"))}


@pytest.mark.parametrize("kind", SCHEMAS)
def test_each_file_is_what_its_importer_asks_for(kind: str) -> None:
    found = assets(kind)
    assert found
    for each in found.values():
        jsonschema.validate(each, SCHEMAS[kind])
    assert {path.relative_to(ASSETS).parts[0] for path in ASSETS.rglob("*.yaml")} == {*SCHEMAS, "metadata.yaml"}
    assert yaml.safe_load((ASSETS / "metadata.yaml").read_text())["type"] == "assets"


def test_no_two_have_one_identity() -> None:
    uuids = [each["uuid"] for kind in SCHEMAS for each in assets(kind).values()]
    assert sorted(uuids) == sorted(set(uuids))


def test_the_dataset_is_the_table_that_the_sink_makes() -> None:
    (dataset,), (database,) = assets("datasets").values(), assets("databases").values()
    assert (dataset["table_name"], dataset["database_uuid"]) == (SALES.name, database["uuid"])
    dialect = sa.create_engine("postgresql+psycopg://").dialect
    there = {column.name: column.type.compile(dialect) for column in SALES.columns}
    assert {each["column_name"]: each["type"] for each in dataset["columns"]} == there


def test_every_chart_asks_for_what_the_dataset_has_and_stands_on_the_dashboard() -> None:
    (dataset,), (dashboard,), charts = assets("datasets").values(), assets("dashboards").values(), assets("charts")
    metrics = {each["metric_name"] for each in dataset["metrics"]}
    columns = {each["column_name"] for each in dataset["columns"]}
    for chart in charts.values():
        params = chart["params"]
        assert chart["dataset_uuid"] == dataset["uuid"]
        assert params["viz_type"] == chart["viz_type"]
        assert {params.get("metric"), *params.get("metrics", [])} - {None} <= metrics
        assert {params.get("x_axis"), *params.get("groupby", [])} - {None} <= columns
    placed = [each["meta"] for each in dashboard["position"].values()
              if isinstance(each, dict) and each["type"] == "CHART"]  # fmt: skip
    assert {each["uuid"]: each["sliceName"] for each in placed} == {
        each["uuid"]: each["slice_name"] for each in charts.values()}


def test_each_place_on_the_dashboard_is_its_parents_child_and_a_row_is_no_wider_than_it() -> None:
    (dashboard,) = assets("dashboards").values()
    places = {name: each for name, each in dashboard["position"].items() if isinstance(each, dict)}
    reached = {"ROOT_ID", "HEADER_ID"}
    for name, each in places.items():
        assert each["id"] == name
        children = [places[child] for child in each.get("children", [])]
        reached |= {child["id"] for child in children}
        assert all(child["parents"][-1] == name for child in children)
        if each["type"] == "ROW":
            assert sum(child["meta"]["width"] for child in children) == 12
    assert reached == set(places)


def test_the_image_is_pinned_and_no_secret_stands_in_a_file() -> None:
    lines = (DOCKER / "superset" / "Dockerfile").read_text().splitlines()
    assert [line for line in lines if line.startswith("FROM ")] == ["FROM apache/superset:6.1.0"]
    assert services()["superset"]["environment"] == {
        name: f"${{{name}:-}}" for name in ("SUPERSET_SECRET_KEY", "SUPERSET_PASSWORD", "BIKE_SALES_DATABASE")}
    told = (DOCKER / "superset" / "start.sh").read_text()
    assert [name for name in services()["superset"]["environment"] if f'"${{{name}:?' not in told] == []
    assert "://" not in json.dumps([each for kind in SCHEMAS for each in assets(kind).values()])
