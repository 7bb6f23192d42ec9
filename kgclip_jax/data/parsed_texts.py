"""Held-out texts with their scene graphs, for models that read them.

A model with a knowledge encoder was trained on captions with graphs, so it is evaluated on texts
with graphs: emoji scenes know theirs, all others are parsed once, by the same pipeline as the
training captions (`config.data.parser`). Stored graphs of training captions are not looked up, and
the triples that some benchmarks come with are not used: every text is treated alike. Class names in
templates ("a photo of a dog") stay without, and are embedded as plain CLIP does.
"""

from collections.abc import Callable, Iterable, Iterator

from kgclip_jax.knowledge.parsing import Parser
from kgclip_jax.knowledge.scene_graph import SceneGraph
from kgclip_jax.types import (
    Caption,
    CompositionSet,
    EvaluationSet,
    RetrievalSet,
    Text,
    ZeroShotSet,
    words_of,
)


def with_graphs(
    sets: Iterable[EvaluationSet], make_parser: Callable[[], Parser]
) -> list[EvaluationSet]:
    """Return the sets with a graph for each text that has none.

    Args:
        sets: any; those of class names are returned as they are.
        make_parser: called when there is a text to parse, and not before.

    Raises:
        UserError: there are texts to parse, and spaCy or its pipeline is not installed.
    """
    sets = list(sets)
    bare = dict.fromkeys(
        words_of(text) for data in sets for text in _texts(data) if _graph(text) is None
    )
    if not bare:
        return sets
    graphs = dict(zip(bare, make_parser().parse(bare), strict=True))

    def caption(text: Text) -> Caption:
        return Caption(words_of(text), _graph(text) or graphs[words_of(text)])

    return [_mapped(data, caption) for data in sets]


def without_graphs(sets: Iterable[EvaluationSet]) -> list[EvaluationSet]:
    """Return the sets with bare texts."""
    return [_mapped(data, words_of) for data in sets]


def _texts(data: EvaluationSet) -> Iterator[Text]:
    if isinstance(data, RetrievalSet):
        yield from data.captions
    elif isinstance(data, CompositionSet):
        for pair in data.captions:
            yield from pair
    elif not isinstance(data, ZeroShotSet):
        yield from data.texts


def _mapped(data: EvaluationSet, change: Callable[[Text], Text]) -> EvaluationSet:
    """Change every text but the class names."""
    if isinstance(data, RetrievalSet):
        return data._replace(captions=[change(text) for text in data.captions])
    if isinstance(data, CompositionSet):
        return data._replace(captions=[(change(one), change(two)) for one, two in data.captions])
    if isinstance(data, ZeroShotSet):
        return data
    return data._replace(texts=[change(text) for text in data.texts])


def _graph(text: Text) -> SceneGraph | None:
    return text.graph if isinstance(text, Caption) else None
