"""Who may see this room: the commands, and the end of a run."""

import re
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "kgclip_jax"


def test_nothing_else_imports_it():
    seen = {
        path.relative_to(PACKAGE)
        for path in PACKAGE.rglob("*.py")
        if re.search(r"^\s*(from|import) kgclip_jax\.reporting", path.read_text(), re.MULTILINE)
    }
    outside = {path for path in seen if path.parts[0] != "reporting"}
    assert outside <= {Path("run.py"), Path("run_evaluation.py")}
