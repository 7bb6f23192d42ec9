"""A list of NegCLIP's swaps is what the reader of lists takes."""

import pytest
from rich.console import Console

from kgclip_jax.data.listed_negatives import open_listed
from kgclip_jax.data.readers.folders import open_folder
from kgclip_jax.errors import DataError
from kgclip_jax.knowledge.parsing.parser import MODEL
from kgclip_jax.preparation.negclip_captions import store_swaps
from tests.data.readers.layouts import drawn


def store(folder, output, *captions):
    (picture,) = drawn(1)
    (folder / picture.name).write_bytes(picture.content)
    lines = [f'{picture.name},"{caption}"' for caption in captions]
    (folder / "captions.txt").write_text("\n".join(["image,caption", *lines]))
    records = open_folder(folder, None)
    quiet = Console(quiet=True)
    return store_swaps(records, output, model=MODEL, seed=0, bad_share=0.0, console=quiet)


def test_a_list_is_written_and_read(tmp_path):
    captions = ("A car with some surfboards in a field.", "a bird", "a man's dog by a \t house")
    found = store(tmp_path, tmp_path / "x.tsv", *captions)
    assert (found.captions, found.with_some) == (3, 2)
    listed = open_listed(tmp_path / "x.tsv")
    assert [wrong.text for wrong in listed(captions[0])] == [
        "A field with some surfboards in a car."
    ]
    assert (len(listed), len(listed(captions[2])), listed(captions[1])) == (found.wrong, 1, [])


def test_mistakes_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"must end in .tsv"):
        store(tmp_path, tmp_path / "x.csv", "a dog by a cat")
    with pytest.raises(DataError, match="no caption has two words of one class"):
        store(tmp_path, tmp_path / "x.tsv", "a bird")
    assert not (tmp_path / "x.tsv").exists()
