"""The wrong captions of a file, found by the words of the right one."""

import hashlib
import json
from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from kgclip_jax.data.packed_texts import PackedTexts
from kgclip_jax.data.readers.listed_captions import Listing, read_listed
from kgclip_jax.errors import DataError
from kgclip_jax.files import sha256
from kgclip_jax.knowledge.clean_captions import clean_caption
from kgclip_jax.knowledge.english import plain_words
from kgclip_jax.knowledge.graph_json import graph_from_json, graph_to_json
from kgclip_jax.knowledge.negatives.listed import LISTED, Listed


class ListedNegatives:
    """Wrong captions by caption. Equal captions share theirs. It pickles, at about their size.

    Attributes:
        name: of the file, for messages.
        captions: how many have wrong ones.
        missing: wrong captions that the file should have, and has not.
        fingerprint: hash of the file.
        know_graphs: whether the scene graphs of all are known.
    """

    def __init__(self, entries: Iterable[Listing], name: str, fingerprint: str) -> None:
        """Take the entries of a file."""
        self.name = name
        self.missing = 0
        self.fingerprint = fingerprint
        self._texts = PackedTexts()
        self._graphs = PackedTexts()  # as JSON
        self._kinds = array("b")
        self.know_graphs = True
        owners = array("Q")
        for caption, wrong, missing in entries:
            self.missing += missing
            for kind, text, graph in wrong:
                owners.append(_key(caption))
                self._texts.append(text)
                self._graphs.append("" if graph is None else json.dumps(graph_to_json(graph)))
                self._kinds.append(LISTED.index(kind))
                self.know_graphs &= graph is not None
        keys = np.frombuffer(owners, np.uint64) if owners else np.empty(0, np.uint64)
        self._order = np.argsort(keys, kind="stable").astype(np.int32)
        self._keys = keys[self._order]
        self.captions = len(np.unique(self._keys))

    def __len__(self) -> int:
        return len(self._texts)

    def __call__(self, caption: str) -> Sequence[Listed]:
        """Return the wrong captions of a caption, each once; none where it is not in the file."""
        key = np.uint64(_key(caption))
        start, stop = np.searchsorted(self._keys, key), np.searchsorted(self._keys, key, "right")
        numbers = self._order[start:stop].tolist()
        return list(dict.fromkeys([self._listed(number) for number in numbers]))

    def _listed(self, number: int) -> Listed:
        written = self._graphs[number]
        graph = graph_from_json(json.loads(written), self.name) if written else None
        return Listed(LISTED[self._kinds[number]], self._texts[number], graph)


def open_listed(path: Path) -> ListedNegatives:
    """Read a file of wrong captions.

    Raises:
        DataError: as `read_listed`, or it has none.
    """
    made = ListedNegatives(read_listed(path), path.name, sha256(path))
    if not len(made):
        raise DataError(f"{path}: no wrong caption in it")
    return made


def _key(caption: str) -> int:
    words = plain_words(clean_caption(caption)).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(words, digest_size=8).digest(), "little")
