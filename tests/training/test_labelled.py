"""Items with labels train: on any mesh, in any parts."""

from dataclasses import replace

import numpy as np
import pytest

from kgclip_jax import config
from kgclip_jax.data.stored_pictures import Data
from kgclip_jax.data.streams.labelled_stream import LabelledConfig
from kgclip_jax.data.streams.stream import StreamOpening
from kgclip_jax.models.classifier import ClassifierHead
from kgclip_jax.models.transformer import Execution
from kgclip_jax.objectives.label_loss import Classification
from tests.data.readers.labelled_files import small_vqa
from tests.training.made_up_streams import Trainer
from tests.training.test_toys import MIXED, ONE, READING, first_gradients


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("vqa")


def trainer(folder, devices=None, **changes):
    settings = replace(
        MIXED,
        streams={"labelled": LabelledConfig(data=small_vqa(folder), rows=16, length=10)},
        heads={"classifier": ClassifierHead(classes=4, width=16)},
        objectives={"classification": Classification(form="sigmoid")},
        **changes,
    )
    opening = StreamOpening(Data(path=str(folder)), READING)
    streams = [stream.open(name, opening) for name, stream in settings.streams.items()]
    return Trainer(settings, streams, devices)


def test_microbatches_and_devices_change_nothing(folder):
    alone, (expected,) = trainer(folder, ONE).train(1)
    execution = Execution(microbatches=2)
    state, (metrics,) = trainer(folder, mesh=config.Mesh(2, 2, 2), execution=execution).train(1)
    for name in ("loss", "classification/accuracy"):
        assert metrics[name] == pytest.approx(expected[name], rel=2e-6), name
    gradients = first_gradients(state)
    for path, leaf in first_gradients(alone).items():
        worst = np.abs(gradients[path] - leaf).max()
        assert worst <= 2e-5 * np.abs(leaf).max(), path
