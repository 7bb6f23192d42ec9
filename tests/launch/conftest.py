"""The real commands in processes of their own, on a model that trains in seconds."""

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from kgclip_jax.convert.tokenizer_files import write_tokenizer
from kgclip_jax.data.tokenization.tokenizer_config import ClipBpe
from tests.launch.forked import ForkedLaunch, start_server
from tests.torchvision_operators import make_torchvision_importable

REPOSITORY = Path(__file__).parents[2]
SHRUNK = {
    "config.model.vision.image_size": 16,
    "config.model.embedding": 16,
    **{
        f"config.model.{tower}.transformer.{key}": value
        for tower in ("vision", "text")
        for key, value in {"width": 16, "depth": 1, "heads": 2, "mlp_width": 32}.items()
    },
    "config.optimizer.schedule.kind": "constant",
    "config.optimizer.schedule.warmup_steps": 0,
    "config.total_steps": 120,
    "config.checkpoints.every": 40,
    "config.streams.captions.rows": 8,
    "config.log_every": 1,
    "config.streams.captions.text_slots": "one",  # the less there is to compile
    "config.data.workers": 0,
}
SCENES = {
    "config.streams.captions.sources.emoji.evaluation_items": 8,
    "config.streams.captions.sources.emoji.world.concepts": 12,
    "config.streams.captions.sources.emoji.world.unseen_concepts": 4,
    "config.streams.captions.sources.emoji.world.scenes": 100,
}


BLOCKS = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_attention_heads": 2,
    "num_hidden_layers": 1,
}


class Commands:
    """Starts `launch/*.py` as a user would, where torch and tensorflow are not installed.

    Compiled programs are kept between launches, in `folder`.
    """

    def __init__(self, folder: Path):
        for module in ("torch", "tensorflow"):
            (folder / f"{module}.py").write_text("raise ImportError")
        self._outputs = (folder / f"{number}" for number in itertools.count())
        self._environment = os.environ | {
            "PYTHONPATH": f"{folder}:{REPOSITORY}",
            "JAX_PLATFORMS": "cpu",
            "XLA_FLAGS": os.environ["XLA_FLAGS"].replace("device_count=8", "device_count=1"),
            "JAX_COMPILATION_CACHE_DIR": str(folder / "compiled"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        }
        start_server(self._environment)

    def start(
        self, *command: str, environment: Mapping[str, str] = MappingProxyType({})
    ) -> ForkedLaunch:
        return ForkedLaunch(list(command), REPOSITORY, next(self._outputs), environment)

    def start_fresh(self, *command: str, largest_file_kib: int | None = None) -> subprocess.Popen:
        """Start Python with anything, as a user's shell does."""
        limit = "unlimited" if largest_file_kib is None else f"{largest_file_kib}"
        return subprocess.Popen(
            ["bash", "-c", f'ulimit -f {limit} && exec "$@"', "-", sys.executable, *command],
            cwd=REPOSITORY,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def start_training(
        self,
        workdir: Path,
        *,
        fresh: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] = MappingProxyType({}),
        **changes: object,
    ) -> subprocess.Popen[str] | ForkedLaunch:
        """Begin to train; changes are settings by their dotted path, dots written as `__`.

        With `fresh`, options of `start_fresh`, in a new Python, and otherwise with variables of
        `environment`.
        """
        config = changes.pop("config", "configs/quickstart.py")
        settings = SHRUNK | (SCENES if config == "configs/quickstart.py" else {})
        settings |= {f"config.{key.replace('__', '.')}": changes[key] for key in changes}
        options = [f"--{key}={value}" for key, value in settings.items()]
        launch = ["launch/train.py", f"--config={config}", f"--workdir={workdir}", *options]
        if fresh is not None:
            return self.start_fresh(*launch, **fresh)
        return self.start(*launch, environment=environment)

    def train(self, workdir: Path, **changes: object) -> subprocess.CompletedProcess[str]:
        return finish(self.start_training(workdir, **changes))

    def evaluate(self, workdir: Path, *options: str) -> subprocess.CompletedProcess[str]:
        return finish(self.start("launch/evaluate.py", f"--workdir={workdir}", *options))


def finish(process: subprocess.Popen[str] | ForkedLaunch) -> subprocess.CompletedProcess[str]:
    out, err = process.communicate(timeout=900)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def wait_for(process: subprocess.Popen[str] | ForkedLaunch, happened: Callable[[], bool]) -> None:
    """Wait until something has happened; a process that ends before is an error."""
    while not happened():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


@pytest.fixture(scope="session")
def commands(tmp_path_factory) -> Commands:
    return Commands(tmp_path_factory.mktemp("commands"))


@pytest.fixture(scope="session")
def until():
    return wait_for


@pytest.fixture(scope="session")
def result():
    return finish


@pytest.fixture(scope="session")
def finished(commands, tmp_path_factory):
    """(workdir, completed process) of a run that nothing disturbed, with a worker process."""
    workdir = tmp_path_factory.mktemp("finished") / "run"
    return workdir, commands.train(workdir, fresh={}, data__workers=1)


@pytest.fixture(scope="session")
def made_by_torch(tmp_path_factory):
    """A folder as `save_pretrained` leaves it, with tokenizer and preprocessing."""
    import torch

    make_torchvision_importable()
    from transformers import CLIPConfig, CLIPModel

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("made-by-torch") / "clip"
    text = BLOCKS | {"max_position_embeddings": 77}
    vision = BLOCKS | {"image_size": 16, "patch_size": 8}
    settings = CLIPConfig(text_config=text, vision_config=vision, projection_dim=16)
    CLIPModel(settings).save_pretrained(folder)
    write_tokenizer(ClipBpe(), folder, "huggingface", 77)
    side = {"height": 16, "width": 16}
    preprocessing = {
        "image_processor_type": "CLIPImageProcessor",
        "do_resize": True,
        "size": {"shortest_edge": 16},
        "do_center_crop": True,
        "crop_size": side,
        "resample": 3,
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessing))
    return folder
