import pyarrow as pa

from kgclip_jax.knowledge.graph.entities import entity_rows, merged_entities
from kgclip_jax.knowledge.graph.knowledge_graph import ENTITY_SCHEMA


def test_rows_of_one_key_become_one_entity():
    first = entity_rows(
        ["a", "b", "a"],
        ["", "bee", "ay"],
        glosses=[["one"], [], ["two"]],
        images=[["1.jpg"], ["2.jpg", "3.jpg"], []],
        boxes=[None, None, (0, 0, 5, 6)],
    )
    second = entity_rows(
        ["b", "c"],
        ["buzz", ""],
        glosses=[["three"], []],
        boxes=[(1, 1, 1, 1), None],
        kinds=["x", "y"],
    )
    merged = merged_entities(pa.concat_tables([first, second]))
    assert merged.schema.equals(ENTITY_SCHEMA)
    assert [tuple(row.values()) for row in merged.to_pylist()] == [
        ("a", "ay", ["one", "two"], ["1.jpg"], [0, 0, 5, 6], "entity"),
        ("b", "bee", ["three"], ["2.jpg", "3.jpg"], [1, 1, 1, 1], "entity"),
        ("c", "", [], [], None, "y"),
    ]


def test_rows_of_different_keys_stay_as_they_are():
    rows = entity_rows(["a", "b"], ["x", "x"])
    assert merged_entities(rows).equals(rows)
    assert len(merged_entities(ENTITY_SCHEMA.empty_table())) == 0
