"""What a language model makes of the name of each entity of a graph, in the order of entities.

An array of NumPy, entities x width: a table of entities can start from it (`start` of its head).
"""

from pathlib import Path

import numpy as np

from kgclip_jax.data.embedded_texts import EmbeddedTexts
from kgclip_jax.files import atomic_file, writing
from kgclip_jax.knowledge.graph.knowledge_graph import KnowledgeGraph

_BLOCK = 65_536  # entities that are looked at together


def store_entity_vectors(graph: KnowledgeGraph, embedded: EmbeddedTexts, output: Path) -> None:
    """Write the array: the embedding of an entity's name, or else of its first gloss.

    Raises:
        DataError: an entity has neither, or they are not embedded; the message tells how many.
        UserError: the disk refuses.
    """
    shape = (len(graph), embedded.contents.width)
    with atomic_file(output) as temporary, writing(output):
        array = np.lib.format.open_memmap(temporary, "w+", np.float32, shape)
        for start in range(0, len(graph), _BLOCK):
            entities = np.arange(start, min(start + _BLOCK, len(graph)))
            rows = embedded.rows_of([" ".join(text.split()) for text in graph.labels(entities)])
            array[entities] = embedded.vectors(rows)
        array.flush()
