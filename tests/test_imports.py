"""Who imports whom: no room comes back to itself, and reading data loads no JAX."""

import ast
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "kgclip_jax"

# Grain itself imports JAX, so that one file alone may use it.
USER_OF_GRAIN = "kgclip_jax.data.pipeline"
EXTRAS = {"apache_beam", "spacy", "tensorflow_datasets"}  # of the requirements-*.txt


def names_of(path: Path) -> Iterator[str]:
    """Yield the full names of the modules that a file imports, also within functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_no_two_rooms_import_each_other():
    rooms = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    imported = defaultdict(set)
    for room in rooms:
        for path in (PACKAGE / room).rglob("*.py"):
            for package, other, *_ in (f"{name}..".split(".") for name in names_of(path)):
                if package == "kgclip_jax" and other in rooms - {room}:
                    imported[room].add(other)
    assert imported["data"] == {"knowledge"}
    assert imported["knowledge"] == set()

    waiting = set(rooms)
    while free := {room for room in waiting if not imported[room] & waiting}:
        waiting -= free
    assert not waiting, {room: imported[room] & waiting for room in waiting}


def test_data_and_knowledge_load_no_jax():
    files = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for room in ("data", "knowledge")
        for path in sorted((PACKAGE / room).rglob("*.py"))
    }
    for library, users in (("jax", []), ("grain", [USER_OF_GRAIN])):
        found = [
            module
            for module, path in files.items()
            if library in {name.partition(".")[0] for name in names_of(path)}
        ]
        assert found == users
    script = f"""
import importlib, sys
for name in {[name for name in files if name != USER_OF_GRAIN]}:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        assert error.name.partition(".")[0] in {EXTRAS}, error
    assert "jax" not in sys.modules, name
"""
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)
