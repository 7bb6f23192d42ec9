"""ConceptNet 5.7: terms of one language, weights, who says so."""

import numpy as np
import pytest

from kgclip_jax.data.graph_sources.conceptnet import NO_WEIGHT, ConceptNet
from kgclip_jax.errors import ConfigError, DataError
from kgclip_jax.schema import parse
from tests.data.graph_sources.graph_layouts import assertion, names_of, store, triples_of


def written(folder, *lines, **settings):
    path = folder / "conceptnet-assertions-5.7.0.csv"
    path.write_text("".join(lines))
    return ConceptNet(folder=str(path), **settings)


def test_both_ends_are_of_the_language(tmp_path):
    source = written(
        tmp_path,
        assertion("IsA", "dog/n/wn/animal", "domestic_animal/n"),
        assertion("Synonym", "dog", "/c/de/hund"),
        assertion("Synonym", "/c/eng/dog", "hound"),
        assertion("ExternalURL", "dog", "http://dbpedia.org/resource/Dog").replace("/c/en/h", "h"),
        assertion("IsA", "hund", "tier", language="de"),
    )
    graph = store(source, tmp_path / "graph")
    assert triples_of(graph) == {("dog", "IsA", "domestic animal")}
    assert names_of(graph) == {"dog": "dog", "domestic animal": "domestic animal"}
    german = ConceptNet(folder=source.folder, language="de")
    assert triples_of(store(german, tmp_path / "german")) == {("hund", "IsA", "tier")}


def test_senses_of_a_term_are_one_and_the_heaviest_triple_stays(tmp_path):
    source = written(
        tmp_path,
        assertion("IsA", "dog/n", "animal", 1.0, "/d/wordnet/3.1"),
        assertion("IsA", "dog/v", "animal/n", 2.5, "/d/conceptnet/4/en"),
        assertion("AtLocation", "dog", "park", 0.5, "/d/conceptnet/4/en"),
    )
    contents = store(source, tmp_path / "graph")
    (train,) = (split for name, split in contents.splits.items() if name == "train")
    names = [contents.contents.sources[number] for number in train.sources]
    assert sorted(zip(train.weights.tolist(), names, strict=True)) == [
        (0.5, "/d/conceptnet/4/en"),
        (2.5, "/d/conceptnet/4/en"),
    ]
    assert contents.contents.left_out == {"triple that is there already": 1}
    assert contents.contents.phrases == ("is a", "at location")


def test_light_triples_are_not_read(tmp_path):
    lines = [assertion("IsA", "a", "b", 0.5), assertion("IsA", "a", "c", 1.0)]
    graph = store(written(tmp_path, *lines, least_weight=1.0), tmp_path / "graph")
    assert triples_of(graph) == {("a", "IsA", "c")}
    np.testing.assert_array_equal(graph.splits["train"].weights, [1.0])
    assert set(names_of(graph)) == {"a", "c"}  # nobody speaks of b


@pytest.mark.parametrize("weight", ['"heavy"', "null", "."])
def test_triples_without_a_weight_are_counted(tmp_path, weight):
    line = assertion("IsA", "a", "c").replace('"weight": 1.0', f'"weight": {weight}')
    source = written(tmp_path, assertion("IsA", "a", "b"), line)
    with pytest.raises(DataError, match=rf"{NO_WEIGHT}: 1 of 2, .*csv, line 1 ff\."):
        store(source, tmp_path / "graph", bad_share=0.1)
    graph = store(source, tmp_path / "graph", bad_share=0.5)
    assert triples_of(graph) == {("a", "IsA", "b")}
    assert graph.contents.left_out == {NO_WEIGHT: 1}


def test_a_language_is_letters():
    with pytest.raises(ConfigError, match=r"language must be like 'en'"):
        parse(ConceptNet, {"language": "en/.*"})
