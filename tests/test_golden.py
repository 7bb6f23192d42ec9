"""Every shipped config as text: what it resolves to, and how each parameter begins and is trained.

A changed default shows up here as a difference. After an intended change:

    python tests/test_golden.py
"""

import json
import runpy
import sys
from pathlib import Path

import jax
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kgclip_jax import config, schema
from kgclip_jax.training.paths import leaves_by_path
from kgclip_jax.training.setup import set_up
from kgclip_jax.training.summary import parameter_rows

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = sorted(path.stem for path in (ROOT / "configs").glob("*.py"))


def describe(name):
    """The config as JSON, then each parameter: path, shape, initial size, lr, decay, sharding."""
    get_config = runpy.run_path(str(ROOT / "configs" / f"{name}.py"))["get_config"]
    experiment = config.experiment(get_config().to_dict())
    setup = set_up(experiment, jax.devices()[:1])
    params = leaves_by_path(setup.initialise().params)
    scales = {path: float((leaf**2).mean() ** 0.5) for path, leaf in params.items()}
    lines = [json.dumps(schema.to_dict(experiment), indent=1), ""]
    for path, shape, *treatment in parameter_rows(setup):
        lines.append("  ".join([path, shape, f"rms {scales[path]:.3g}", *treatment]))
    return "\n".join(lines) + "\n"


def golden(name):
    return ROOT / "tests" / "golden" / f"{name}.txt"


@pytest.mark.parametrize("name", CONFIGS)
def test_shipped_configs_are_as_recorded(name):
    assert describe(name) == golden(name).read_text(), "see the top of this file"


def test_no_golden_file_is_left_over():
    assert {path.stem for path in (ROOT / "tests" / "golden").glob("*.txt")} == set(CONFIGS)


if __name__ == "__main__":
    for config_name in CONFIGS:
        golden(config_name).write_text(describe(config_name))
