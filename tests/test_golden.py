"""Every shipped config as text: what it resolves to; how parameters begin, are trained and cut.

A changed default shows up here as a difference. After an intended change:

    python tests/test_golden.py
"""

import inspect
import json
import runpy
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kgclip_jax import config, schema
from kgclip_jax.data.emoji.world import EmojiWorld
from kgclip_jax.data.sources import EmojiSource
from kgclip_jax.data.stored_pictures import Data
from kgclip_jax.data.streams.stream import StreamOpening
from kgclip_jax.model_inputs import preprocessing_for
from kgclip_jax.paths import leaves_by_path
from kgclip_jax.training.setup import set_up
from kgclip_jax.training.summary import parameter_rows

ROOT = Path(__file__).resolve().parents[1]
MESH = config.Mesh(2, 2, 2)


def function(name):
    return runpy.run_path(str(ROOT / "configs" / f"{name}.py"))["get_config"]


def stands_alone(name):
    """Whether a config is the same whatever its argument; others follow a model of the user's."""
    arguments = inspect.signature(function(name)).parameters.values()
    return all(argument.default is not argument.empty for argument in arguments)


CONFIGS = sorted(path.stem for path in (ROOT / "configs").glob("*.py") if stands_alone(path.stem))


def opened(experiment):
    """The streams with drawn scenes for sources: how parameters begin does not depend on data."""
    model = experiment.model
    reading = preprocessing_for(model, experiment.tokenizers)
    scenes = {"emoji": EmojiSource("emoji", EmojiWorld())}
    return {
        name: replace(stream, sources=scenes, text_slots="one").open(
            name, StreamOpening(Data(), reading, parts=MESH.data * MESH.fsdp)
        )
        for name, stream in experiment.streams.items()
    }


def describe(name):
    """The config as JSON, then each parameter: path, shape, initial size, lr, decay, sharding."""
    experiment = config.experiment(function(name)().to_dict())
    setup = set_up(replace(experiment, mesh=MESH), opened(experiment))
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
    assert {path.stem for path in (ROOT / "tests" / "golden").glob("*.txt")} == {
        *CONFIGS,
        "collectives",
    }


if __name__ == "__main__":
    import tests.conftest  # noqa: F401  # eight devices

    for config_name in CONFIGS:
        golden(config_name).write_text(describe(config_name))
