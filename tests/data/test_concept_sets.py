"""Sets of captions with their concepts, from pictures and a folder of concepts on disk."""

from dataclasses import asdict, replace

import numpy as np
import pytest

from kgclip_jax.data.evaluation_config import EVALUATIONS
from kgclip_jax.data.evaluation_sets import TextSet, fingerprint
from kgclip_jax.data.lazy_pictures import EvaluationTransform
from kgclip_jax.data.parsed_texts import with_graphs
from kgclip_jax.data.text_concepts import TextConcepts
from kgclip_jax.errors import ConfigError, DataError
from kgclip_jax.knowledge.caption import words_of
from kgclip_jax.knowledge.scene_graph import SceneGraph
from kgclip_jax.schema import parse
from tests.data.made_up_embeddings import clustered, random_embeddings
from tests.data.readers.layouts import LAYOUTS, drawn

PICTURES = drawn(5)
CAPTIONS = [text for picture in PICTURES for text in picture.captions]


@pytest.fixture
def source(tmp_path):
    (tmp_path / "pictures").mkdir()
    settings = LAYOUTS["flickr"](tmp_path / "pictures", PICTURES)
    return asdict(replace(settings, folder="pictures"))


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Makes a folder of concepts of texts."""

    def make(texts, name="concepts"):
        embedded = random_embeddings(tmp_path / f"of {name}", texts)
        return clustered(embedded, tmp_path / name, monkeypatch)

    return make


def opened(root, source, **settings):
    values = {"kind": "concepts", "folder": "concepts", "source": source, **settings}
    found = parse(EVALUATIONS.find("concepts", "x"), values)
    return found.open("mine", root, EvaluationTransform(16))


def test_captions_have_their_nearest_concepts_whatever_else_the_folder_knows(
    tmp_path, source, make
):
    known = make(["another text", *CAPTIONS[::-1], "and one more"])
    data = opened(tmp_path, source)
    assert isinstance(data, TextSet)
    assert (data.name, data.concepts, len(data.pictures)) == ("mine", 4, 5)
    assert sorted(map(words_of, data.texts)) == sorted(CAPTIONS)
    stored = np.load(tmp_path / "concepts" / "concepts.npy")[:, 0]
    rows = {text: row for row, text in enumerate(["another text", *CAPTIONS[::-1]])}
    assert data.nearest.tolist() == [stored[rows[text]] for text in data.texts]
    np.testing.assert_array_equal(
        known.labels(data.texts).argmax(axis=1), data.nearest
    )  # as the objective has it
    names = [*data.pictures.names()]
    for text, owner in zip(data.texts, data.owners, strict=True):
        number = int(text.split(",")[0].removeprefix("picture "))
        assert PICTURES[number].name in names[owner]
    assert len({*data.nearest.tolist()}) > 1


def test_one_head_is_asked_about_both_or_one_each(tmp_path, source, make):
    make(CAPTIONS)
    assert opened(tmp_path, source).heads == ("concept_map", "concept_map")
    assert opened(tmp_path, source, heads=("a", "b")).heads == ("a", "b")
    for heads in ((), ("a", "b", "c")):
        with pytest.raises(ConfigError, match="heads: one for both towers, or one for each"):
            opened(tmp_path, source, heads=heads)


def test_captions_that_the_folder_lacks_are_counted(tmp_path, source, make):
    make([text for text in CAPTIONS if "picture 3" not in text])
    with pytest.raises(
        DataError, match=r"'mine': .*/concepts: 2 of 10 texts are not in it: 'picture 3, text 0"
    ):
        opened(tmp_path, source)


def test_a_folder_that_is_none_and_a_damaged_one_are_refused(tmp_path, source, make):
    with pytest.raises(DataError, match=r"concepts\.json: not found"):
        opened(tmp_path, source)
    make(CAPTIONS)
    path = tmp_path / "concepts" / "concepts.npy"
    np.save(path, np.load(path) + 4)
    with pytest.raises(DataError, match=r"'mine': .*a concept is none of 4"):
        opened(tmp_path, source)


def test_graphs_of_captions_change_no_concept(tmp_path, source, make):
    make(CAPTIONS)
    data = opened(tmp_path, source)
    (parsed,) = with_graphs([data], lambda texts: [SceneGraph(()) for _ in texts])
    assert parsed.graphs == "parsed"
    assert parsed.texts[0].graph == SceneGraph(())
    np.testing.assert_array_equal(parsed.nearest, data.nearest)


def test_another_concept_is_another_set(tmp_path, source, make):
    make(CAPTIONS)
    data = opened(tmp_path, source)
    other = data._replace(nearest=(data.nearest + 1) % 4)
    assert fingerprint([data]) == fingerprint([opened(tmp_path, source)])
    assert fingerprint([data]) != fingerprint([other])


def test_nearest_of_nothing_known(make):
    known = make(CAPTIONS)
    assert known.nearest(CAPTIONS[:1]).shape == (1,)
    with pytest.raises(DataError, match="1 of 1 texts are not in it: 'x'"):
        TextConcepts(known.folder).nearest(["x"])
