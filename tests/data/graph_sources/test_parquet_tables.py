"""Tables of Parquet as others write them: types, what is missing, what is wrong."""

import pandas
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kgclip_jax.data.graph_sources.graph_source import NO_END, NO_NUMBER
from kgclip_jax.data.graph_sources.parquet_tables import ParquetTables
from kgclip_jax.data.skips import MISSING_IMAGE
from kgclip_jax.errors import DataError
from kgclip_jax.preparation.knowledge_graphs import UNKNOWN_ENTITY
from tests.data.graph_sources.graph_layouts import entities_of, names_of, store, triples_of

ENDS = {"head": ["dog"], "relation": ["IsA"], "tail": ["animal"]}
ENTITIES = {"key": ["dog", "animal"], "name": ["Dog", None]}


def written(folder, triples=ENDS, **tables):
    for name, table in {"triples": triples, **tables}.items():
        pq.write_table(pa.table(table), folder / f"{name}.parquet")
    return ParquetTables(folder=str(folder))


def test_triples_alone_are_enough(tmp_path):
    graph = store(written(tmp_path), tmp_path / "graph")
    assert triples_of(graph) == {("dog", "IsA", "animal")}
    assert names_of(graph) == {"dog": "dog", "animal": "animal"}
    assert graph.contents.phrases == ("is a",)
    assert graph.splits["train"].weights.tolist() == [1]


def test_types_are_those_of_others(tmp_path):
    """Categories of pandas, small integers, doubles, lists of fixed or any length, null."""
    triples = {
        "head": pa.array(["dog", "dog", None]).dictionary_encode(),
        "relation": pa.array([b"IsA", b"IsA", b"IsA"]),
        "tail": ["animal", "dog", "dog"],
        "weight": pa.array([3, None, 1], pa.int64()),
        "split": ["train", None, "test"],
        "source": pa.array([7, 8, 9], pa.int8()),
    }
    (tmp_path / "dog.jpg").write_bytes(b"never opened")
    entities = ENTITIES | {
        "glosses": [["a barking animal"], None],
        "images": [None, ["dog.jpg"]],
        "box": pa.array([None, [1, 2, 3, 4]], pa.list_(pa.int64())),
        "kind": ["thing", None],
    }
    relations = {"name": ["IsA", "other"], "phrase": ["is a kind of", ""]}
    source = written(tmp_path, triples, entities=entities, relations=relations)
    graph = store(source, tmp_path / "graph", bad_share=0.5)
    assert triples_of(graph) == {("dog", "IsA", "animal"), ("dog", "IsA", "dog")}
    assert graph.contents.left_out == {NO_END: 1}
    assert graph.contents.phrases == ("is a kind of",)
    assert graph.contents.sources == ("7", "8")
    assert sorted(graph.splits["train"].weights.tolist()) == [1, 3]
    assert list(entities_of(graph).values()) == [
        {
            "key": "dog",
            "name": "Dog",
            "glosses": ["a barking animal"],
            "images": [],
            "box": None,
            "kind": "thing",
        },
        {
            "key": "animal",
            "name": "",
            "glosses": [],
            "images": ["dog.jpg"],
            "box": [1, 2, 3, 4],
            "kind": "entity",
        },
    ]


def test_tables_of_pandas_are_read(tmp_path):
    columns = {name: pandas.Categorical(column) for name, column in ENDS.items()}
    frame = pandas.DataFrame(columns | {"weight": [2]}, index=["mine"])
    frame.to_parquet(tmp_path / "triples.parquet")
    graph = store(ParquetTables(folder=str(tmp_path)), tmp_path / "graph")
    assert triples_of(graph) == {("dog", "IsA", "animal")}
    assert graph.splits["train"].weights.tolist() == [2]


@pytest.mark.parametrize("weight", [float("nan"), float("inf"), -1.0])
def test_a_weight_that_is_none_is_counted(tmp_path, weight):
    triples = {name: 2 * column for name, column in ENDS.items()} | {"weight": [2.5, weight]}
    source = written(tmp_path, triples)
    with pytest.raises(DataError, match=rf"{NO_NUMBER}: 1 of 2, .*triples\.parquet, row 1 ff\."):
        store(source, tmp_path / "graph")
    graph = store(source, tmp_path / "graph", bad_share=0.5)
    assert graph.splits["train"].weights.tolist() == [2.5]


def test_a_triple_of_an_entity_that_no_row_describes_is_counted(tmp_path):
    triples = {name: 2 * column for name, column in ENDS.items()} | {"tail": ["animal", "pet"]}
    source = written(tmp_path, triples, entities=ENTITIES)
    with pytest.raises(DataError, match=rf"{UNKNOWN_ENTITY}: 1 of 2, .*dog IsA pet"):
        store(source, tmp_path / "graph")
    graph = store(source, tmp_path / "graph", bad_share=0.5)
    assert triples_of(graph) == {("dog", "IsA", "animal")}


def test_an_image_that_is_gone_is_counted(tmp_path):
    (tmp_path / "b.jpg").write_bytes(b"never opened")
    entities = ENTITIES | {"images": [["a.jpg", "b.jpg"], []]}
    source = written(tmp_path, entities=entities)
    with pytest.raises(DataError, match=rf"{MISSING_IMAGE}: 1 of 3, .*a\.jpg"):
        store(source, tmp_path / "graph")
    graph = store(source, tmp_path / "graph", bad_share=0.5)
    assert entities_of(graph)["dog"]["images"] == ["b.jpg"]


def texts(*raw):
    """A column that says it is text, of any bytes."""
    binary = pa.array(raw, pa.binary())
    return pa.StringArray.from_buffers(len(raw), *binary.buffers()[1:])


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        (
            {"triples": {"head": ["a"], "tail": ["b"]}},
            r"no column 'relation'; there are head, tail",
        ),
        (
            {"triples": ENDS | {"head": [["a"]]}},
            "row 1 ff.: 'head' must hold large_string, not list",
        ),
        ({"triples": ENDS | {"weight": ["2"]}}, None),
        ({"triples": ENDS | {"weight": ["two"]}}, "'weight' must hold float, not string"),
        ({"triples": ENDS | {"split": ["dev"]}}, "the split 'dev' is none of train, valid, test"),
        ({"triples": ENDS | {"head": texts(b"\xe9")}}, "Invalid UTF8"),
        ({"triples": {end: [] for end in ENDS}}, "the graph is empty"),
        ({"entities": {"key": ["dog"]}}, "no column 'name'; there are key"),
        ({"entities": {"key": [None], "name": ["x"]}}, "row 1 ff.: an entity has no key"),
        ({"entities": ENTITIES | {"glosses": ["a", "b"]}}, "'glosses' must hold large_list<item"),
        ({"entities": ENTITIES | {"glosses": [[None], []]}}, "'glosses' has null within a list"),
        ({"entities": ENTITIES | {"box": [[1, 2], None]}}, "'box' must hold fixed_size_list<item"),
        ({"relations": {"name": ["IsA"]}}, "no column 'phrase'; there are name"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, tables, message):
    source = written(tmp_path, **tables)
    if message is None:
        store(source, tmp_path / "graph")
        return
    with pytest.raises(DataError) as refusal:
        store(source, tmp_path / "graph")
    assert message in str(refusal.value)
    assert str(tmp_path) in str(refusal.value)


@pytest.mark.parametrize("harm", [lambda content: b"", lambda content: content[:-20]])
def test_a_broken_file_is_named(tmp_path, harm):
    source = written(tmp_path)
    path = tmp_path / "triples.parquet"
    path.write_bytes(harm(path.read_bytes()))
    with pytest.raises(DataError, match=rf"{path}, row 1 ff\.: "):
        store(source, tmp_path / "graph")
