"""Who imports whom: no room comes back to itself, and reading data loads no JAX."""

import ast
import subprocess
import sys
from collections import Counter, defaultdict
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
    """A room is a folder of the package, or a file beside the folders."""
    rooms = {
        path.stem: [path] if path.is_file() else sorted(path.rglob("*.py"))
        for path in PACKAGE.iterdir()
        if (path.suffix == ".py" and path.stem != "__init__") or (path / "__init__.py").exists()
    }
    imported = defaultdict(set)
    for room, files in rooms.items():
        for path in files:
            for package, other, *_ in (f"{name}..".split(".") for name in names_of(path)):
                if package == "kgclip_jax" and other in rooms.keys() - {room}:
                    imported[room].add(other)
    folders = {room for room in rooms if (PACKAGE / room).is_dir()}
    assert imported["data"] & folders == {"knowledge"}
    assert imported["knowledge"] & folders == set()

    waiting = set(rooms)
    while free := {room for room in waiting if not imported[room] & waiting}:
        waiting -= free
    assert not waiting, {room: imported[room] & waiting for room in waiting}


def test_no_file_name_stands_twice():
    names = Counter(path.name for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")
    assert not [name for name, count in names.items() if count > 1]


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
