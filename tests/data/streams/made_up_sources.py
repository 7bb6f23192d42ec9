"""Sources whose records say which they are, and streams of them."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from kgclip_jax.data.order import Mixture
from kgclip_jax.data.preprocessing import Preprocessing
from kgclip_jax.data.skips import UNREADABLE_IMAGE
from kgclip_jax.data.streams.caption_stream import CaptionStream
from kgclip_jax.data.streams.texts import TextMaker
from kgclip_jax.data.text_slots import TextSlots
from kgclip_jax.data.tokenization.clip_tokenizer import ClipTokenizer
from kgclip_jax.errors import BadRecord
from kgclip_jax.knowledge.caption import Caption
from kgclip_jax.knowledge.scene_graph import Attribute, SceneGraph, SceneObject, Span

TOKENIZER = ClipTokenizer(32)
WORDS = ("one", "one two", "one two three", "one two three four five six")


class Numbers:
    """Record i is a picture of the value i and one of its captions names i; some are bad."""

    def __init__(self, length=40, bad=(), words=WORDS, base=0):
        self.name = "numbers"
        self.length, self.bad, self.words, self.base = length, bad, words, base

    def __len__(self):
        return self.length

    def caption(self, index, rng):
        return Caption(f"{index + self.base} {self.words[int(rng.integers(len(self.words)))]}")

    def known(self, index):
        return ()

    def image(self, index, rng):
        if index in self.bad:
            raise BadRecord(UNREADABLE_IMAGE, f"record {index} is bad")
        image = np.full((4, 4, 3), index + self.base, np.uint8)
        image[0] = rng.integers(256)
        return image

    def fingerprint(self):
        return f"{self.length} {self.base}"


class Coloured(Numbers):
    """Every other caption speaks of two things with a colour each, the rest of one."""

    def caption(self, index, rng):
        if index % 2:
            return Caption("a dog", SceneGraph((SceneObject("dog", (), Span(2, 5)),)))
        things = [
            SceneObject("dog", (Attribute("green", Span(2, 7)),), Span(8, 11)),
            SceneObject("cat", (Attribute("blue", Span(18, 22)),), Span(23, 26)),
        ]
        return Caption("a green dog and a blue cat", SceneGraph(tuple(things)))


class Photographed(Coloured):
    """What is known of each picture is that the dog may be blue and the cat green as well."""

    def known(self, index):
        both = (Attribute("green"), Attribute("blue"))
        return (SceneGraph((SceneObject("dog", both), SceneObject("cat", both))),)


ONE_LENGTH = TextSlots(8, (8,), (32,))
TWO_LENGTHS = TextSlots(8, (4, 4), (6, 12))


def stream(
    sources,
    *,
    weights=None,
    rows=16,
    slots=ONE_LENGTH,
    seed=3,
    name="captions",
    tables=MappingProxyType({}),
    neighbours=None,
    **texts,
):
    """The stream of some sources; a single one is called "numbers"."""
    if not isinstance(sources, Mapping):
        sources = {"numbers": sources}
    mixture = Mixture(
        lengths=[len(source) for source in sources.values()],
        weights=weights or [1.0] * len(sources),
        names=list(sources),
        rows=rows,
        seed=seed,
        stream=name,
    )
    size = getattr(next(iter(sources.values())), "size", 4)
    reading = Preprocessing(size, TOKENIZER, triples=texts.get("triples"))
    made = TextMaker(sources, TOKENIZER, seed, **texts)
    return CaptionStream(name, made, mixture, slots, reading, tables, neighbours)
