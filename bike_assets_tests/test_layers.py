"""Imports point one way, and what is slow to load is loaded where it is used."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import bike_assets

PACKAGE = Path(bike_assets.__file__).parent

# A layer is a folder or a module of the package. Any of them may import itself.
MAY_IMPORT = {
    "model": "",
    "sources": "model",
    "lake": "model files",
    "ingest": "model sources files listening logs",
    "stream": "model lake files cql addresses",
    "warehouse": "model lake addresses",
    "quality": "model lake",
    "exports": "model lake files cql",
    "dashboard": "model lake listening logs",
    "simulator": "model",
    "alerts": "model sources heartbeats files",
    "settings": "model",
    "locks": "model",
    "cql": "model",
    "files": "",
    "addresses": "",
    "listening": "model",
    "allocator": "",
    "heartbeats": "files",
    "reporting": "",
    "logs": "",
    # Where the layers are put together: services without Dagster and without what starts them.
    "services": "model sources lake ingest stream warehouse dashboard simulator settings heartbeats locks"
    " reporting files allocator",
    "local": "model sources lake ingest stream simulator alerts quality exports defs definitions settings heartbeats"
    " locks services files",
    "defs": "model sources lake warehouse quality exports alerts heartbeats settings",
    "definitions": "defs",
    "terminal": "settings logs",
    "cli_sources": "terminal local sources",
    "cli_rejections": "terminal local",
    "cli_exports": "terminal settings locks model exports",
    "cli_members": "terminal local model",
    "cli": "cli_sources cli_rejections cli_exports cli_members terminal model lake settings services local "
           "heartbeats",
    "__main__": "cli",
    "__init__": "",
}

SLOW = {"pyspark", "delta", "deltalake", "confluent_kafka", "duckdb"}
LOADS_FAST = ("defs", "definitions", "cli", "cli_sources", "cli_rejections", "cli_exports", "cli_members", "terminal",
              "services", "settings")  # fmt: skip


def modules(layer: str) -> list[Path]:
    module = PACKAGE / f"{layer}.py"
    return [module] if module.exists() else sorted((PACKAGE / layer).rglob("*.py"))


def imported(node: ast.AST) -> Iterator[str]:
    """The dotted names that an import statement names; `from a import b` may mean the module a.b."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute here"
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imports(layer: str) -> set[str]:
    """All that a layer imports, inside functions too."""
    return {
        name
        for path in modules(layer)
        for node in ast.walk(ast.parse(path.read_text()))
        for name in imported(node)
    }


def own_layers(layer: str) -> set[str]:
    """The layers of ours that a layer imports."""
    return {name.split(".")[1] for name in imports(layer) if name.startswith("bike_assets.")}


def at_load(tree: ast.Module) -> Iterator[str]:
    """What a module imports while it is loaded: not within functions, nor for the type checker alone."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        yield from imported(node)
        waiting.extend(ast.iter_child_nodes(node))


def test_every_layer_is_in_the_list() -> None:
    found = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert found == set(MAY_IMPORT)


@pytest.mark.parametrize("layer", MAY_IMPORT)
def test_a_layer_imports_only_what_lies_below(layer: str) -> None:
    assert own_layers(layer) <= {layer, *MAY_IMPORT[layer].split()}


def test_only_the_command_line_imports_what_starts_services() -> None:
    starting = {layer for layer in MAY_IMPORT if "local" in own_layers(layer)}
    assert starting <= {"cli", "cli_sources", "cli_rejections", "cli_members", "local"}


def test_only_the_definitions_import_dagster() -> None:
    def speaks_dagster(layer: str) -> bool:
        return any(name.split(".")[0].startswith("dagster") for name in imports(layer))

    assert {layer for layer in MAY_IMPORT if speaks_dagster(layer)} == {"defs", "definitions"}


@pytest.mark.parametrize("layer", LOADS_FAST)
def test_what_is_loaded_often_imports_slow_libraries_inside_functions(layer: str) -> None:
    for path in modules(layer):
        loaded = {name.split(".")[0] for name in at_load(ast.parse(path.read_text()))}
        assert not loaded & SLOW, path.name


@pytest.mark.parametrize("module", ["bike_assets.definitions", "bike_assets.cli"])
def test_loading_it_loads_neither_spark_nor_kafka_nor_delta_nor_duckdb(module: str) -> None:
    program = f"import sys, {module}; print(*{{name.split('.')[0] for name in sys.modules}})"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "bike_assets" in said.stdout.split()
    assert not SLOW & set(said.stdout.split())


READS_WHILE_LOADED = """
import importlib, pkgutil, sys
import bike_assets
from bike_assets import settings

load, (package,) = settings.load_settings, bike_assets.__path__

def recorded(**given):
    code = sys._getframe(1).f_code
    print(code.co_filename.removeprefix(f"{package}/"), code.co_qualname)
    return load(**given)

settings.load_settings = recorded
for module in pkgutil.walk_packages(bike_assets.__path__, "bike_assets."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""


def test_only_what_the_definitions_are_made_of_reads_the_settings_while_it_is_loaded() -> None:
    """What is read then holds as long as the process, whatever a test or a command sets later: the days of the assets,
    which of them there are, their policies, the links on their pages and the values of the resources."""
    said = subprocess.run([sys.executable, "-c", READS_WHILE_LOADED], capture_output=True, text=True, check=True)
    assert set(said.stdout.splitlines()) == {
        "defs/partitions.py <module>",
        "defs/serving/databases.py databases",
        "defs/freshness.py by_settings",
        "defs/links.py _page",
        "defs/resources.py resources",
    }
