"""The size budget: what a reader must hold in the head at once."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("kgclip_jax", "configs", "launch", "tests", "benchmarks")
LINES_OF_A_FILE = 350
LINES_OF_A_FUNCTION = 60


def too_long(path):
    """What in a file is over the budget."""
    text, name = path.read_text(), path.relative_to(ROOT)
    if (lines := text.count("\n")) > LINES_OF_A_FILE:
        yield f"{name} has {lines} lines"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > LINES_OF_A_FUNCTION:
                yield f"{name}: {node.name} has {lines} lines"


def test_files_and_functions_are_small():
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    assert len(files) > 50
    assert sorted(offence for path in files for offence in too_long(path)) == []
