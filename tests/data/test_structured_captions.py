"""Captions of which Structure-CLIP's rule makes no negative are left out, and counted."""

from kgclip_jax.cache import Cache
from kgclip_jax.data.photographs import Photographs
from kgclip_jax.data.records import Record
from kgclip_jax.data.structured_captions import structured_captions
from kgclip_jax.errors import BadRecord
from kgclip_jax.knowledge.caption import Caption
from kgclip_jax.knowledge.facts import together
from kgclip_jax.knowledge.graph_record import GraphRecord
from kgclip_jax.knowledge.graph_store import GraphStore
from kgclip_jax.knowledge.negatives.truth import Truth
from kgclip_jax.random import generator
from tests.data.records_in_memory import DOG, GRAPHS, KEYS, SIZE, SOFA, TWO, InMemory, plain
from tests.knowledge.worded import worded


class Stored(GraphRecord):
    """The graphs of a record that was never stored."""

    def __init__(self, graphs):
        self.graph = graphs.__getitem__
        self.known = lambda: together(graphs)


def test_captions_without_a_negative_are_left_out_and_counted(caplog, tmp_path):
    alone = Record("many.jpg", (DOG, SOFA, TWO))
    # DOG and SOFA have a relation; in TWO "dog" is two things of one name, and so is its twin.
    silent = GRAPHS | {SOFA: worded("The {dog|#0} with a red ball {sleeps|0}.").graph}
    stored = {(key, n): silent[text] for key, texts in KEYS.items() for n, text in enumerate(texts)}

    class Graphs(GraphStore):
        def __init__(self):
            pass

        def graphs(self, key, captions):
            return Stored([stored[key, number] for number in range(len(captions))])

        def content(self, key):
            return key.encode()

    items = [(alone, b""), plain(1, (SOFA,), "sofa.jpg"), BadRecord("gone")]
    stored["sofa.jpg", 0] = silent[SOFA]
    records = InMemory(*items)
    cache = Cache(tmp_path)
    found = structured_captions(records, Graphs(), cache)
    assert found.records.tolist() == [0, 2]
    assert (found.numbers(0), found.numbers(1)) == ([0, 2], [])
    assert "of 4 captions 2 are left out" in caplog.text
    assert "with them 1 of 3 pictures" in caplog.text
    said = len(caplog.messages)
    again = structured_captions(records, Graphs(), cache)
    assert [part.tolist() for part in again] == [part.tolist() for part in found]
    assert len(caplog.messages) == said == 1
    more = InMemory(*items, plain(2, (DOG,), "many.jpg"))
    assert structured_captions(more, Graphs(), cache).records.tolist() == [0, 2, 3]
    chosen = Photographs(records, size=SIZE, graphs=Graphs(), structured=found)
    drawn = {chosen.caption(0, generator(0, "caption", n)).text for n in range(30)}
    assert drawn == {DOG, TWO}
    assert len(chosen) == 2
    assert chosen.caption(1, generator(0, "caption")) == Caption("")
    everything = Photographs(records, size=SIZE, graphs=Graphs())
    assert chosen.fingerprint() != everything.fingerprint()
    assert Truth(*chosen.known(0)).holds(GRAPHS[TWO])
