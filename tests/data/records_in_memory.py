"""Records of a list, and captions whose graphs are known."""

import numpy as np

from kgclip_jax.data.records import Record
from kgclip_jax.errors import BadRecord
from tests.data.readers.layouts import encode
from tests.knowledge.worded import worded

SIZE = 16


class InMemory:
    """Records of a list; those that are an exception are bad."""

    name = "in memory"
    skipped: dict = {}  # noqa: RUF012

    def __init__(self, *items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def record(self, index):
        return self._item(index)[0]

    def encoded(self, index):
        return self._item(index)[1]

    def _item(self, index):
        if isinstance(self.items[index], BadRecord):
            raise self.items[index]
        return self.items[index]


def plain(colour, captions=("a", "b"), key="k", box=None, shape=(30, 40)):
    pixels = np.full((*shape, 3), colour, np.uint8)
    return Record(key, captions, box), encode(pixels)


DOG, SOFA, TWO = (
    "A brown dog on a sofa.",
    "The dog with a red ball sleeps.",
    "Two dogs: a white dog and a dog behind the sofa",
)
GRAPHS = {
    DOG: worded("A {brown|0} {dog|#0} {on|0>1} a {sofa|#1}.").graph,
    SOFA: worded("The {dog|#0} {with|0>1} a {red|1} {ball|#1} sleeps.").graph,
    TWO: worded(
        "{Two=two|0} {dogs=dog|#0}: a {white|1} {dog|#1} and a {dog|#2} {behind|2>3} the {sofa|#3}"
    ).graph,
}


KEYS = {"many.jpg": (DOG, SOFA, TWO), "one.jpg": (TWO,)}
