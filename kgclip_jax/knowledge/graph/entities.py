"""Tables of entities by `ENTITY_SCHEMA`: made from lists, and joined to one row for each entity."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from jaxtyping import Int

from kgclip_jax.knowledge.graph.knowledge_graph import ENTITY_SCHEMA

Box = tuple[int, int, int, int]  # left, top, width and height in pixels


def entity_rows(
    keys: Sequence[str] | pa.Array,
    names: Sequence[str] | pa.Array,
    *,
    glosses: Sequence[Sequence[str]] | None = None,
    images: Sequence[Sequence[str]] | None = None,
    boxes: Sequence[Box | None] | None = None,
    kinds: Sequence[str] | None = None,
) -> pa.Table:
    """Return a table by `ENTITY_SCHEMA`; what is not given is empty."""
    count = len(keys)
    columns = {
        "key": keys,
        "name": names,
        "glosses": [()] * count if glosses is None else glosses,
        "images": [()] * count if images is None else images,
        "box": [None] * count if boxes is None else boxes,
        "kind": ["entity"] * count if kinds is None else kinds,
    }
    arrays = [pa.array(columns[field.name], type=field.type) for field in ENTITY_SCHEMA]
    return pa.table(arrays, schema=ENTITY_SCHEMA)


def with_images(entities: pa.Table, images: Sequence[Sequence[str]]) -> pa.Table:
    """Return a table with other images of each row."""
    field = ENTITY_SCHEMA.field("images")
    place = entities.schema.get_field_index(field.name)
    return entities.set_column(place, field, [pa.array(images, field.type)])


def merged_entities(entities: pa.Table) -> pa.Table:
    """Join rows of equal keys: the first name, box and kind that there is, all glosses and images.

    Returns:
        A row for each key, in the order in which keys come first.
    """
    codes = entities["key"].combine_chunks().dictionary_encode()
    owner = codes.indices.to_numpy()
    count = len(codes.dictionary)
    if count == len(entities):
        return entities
    named = np.flatnonzero(entities["name"].combine_chunks().to_numpy(zero_copy_only=False) != "")
    boxed = np.flatnonzero(entities["box"].is_valid().to_numpy())
    columns = {
        "key": codes.dictionary,
        "name": entities["name"].take(_first(owner, named, count)).fill_null(""),
        "glosses": _lists(entities["glosses"], owner, count),
        "images": _lists(entities["images"], owner, count),
        "box": entities["box"].take(_first(owner, boxed, count)),
        "kind": entities["kind"].take(_first(owner, np.arange(len(owner)), count)),
    }
    return pa.table([columns[field.name] for field in ENTITY_SCHEMA], schema=ENTITY_SCHEMA)


def _first(
    owner: Int[np.ndarray, " rows"], candidates: Int[np.ndarray, " some"], count: int
) -> pa.Array:
    """Return the first candidate row of each owner, null where there is none."""
    rows = np.full(count, -1, np.int64)
    rows[owner[candidates[::-1]]] = candidates[::-1]  # of equal ones, the last one stays
    return pa.array(rows, mask=rows < 0)


def _lists(lists: pa.ChunkedArray, owner: Int[np.ndarray, " rows"], count: int) -> pa.Array:
    """Join the lists of the rows of each owner, in the order of the rows."""
    whole = lists.combine_chunks()
    owners = np.repeat(owner, whole.value_lengths().to_numpy())
    order = np.argsort(owners, kind="stable")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(owners, minlength=count))])
    values = whole.flatten().take(pa.array(order))
    return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), values)
