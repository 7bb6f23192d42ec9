"""Held-out texts with their scene graphs, for models that read them.

A model with a knowledge encoder was trained on captions with graphs, so it is evaluated on texts
with graphs: emoji scenes and the captions of ARO know theirs, all others are parsed once, by the
same pipeline as the training captions (`config.data.parser`). Stored graphs of training captions
are not looked up. Class names in templates ("a photo of a dog") stay without, and are embedded as
plain CLIP does. Each set says which graphs it has, for the rows of results.
"""

from collections.abc import Callable, Iterable
from typing import Any

from kgclip_jax.cache import Cache
from kgclip_jax.data.evaluation_sets import EvaluationSet, TextSet
from kgclip_jax.knowledge.caption import Caption, Text, words_of
from kgclip_jax.knowledge.clean_captions import clean_caption
from kgclip_jax.knowledge.graph_json import graph_from_json, graph_to_json
from kgclip_jax.knowledge.parsing import Parser
from kgclip_jax.knowledge.parsing.parser import installed_version
from kgclip_jax.knowledge.scene_graph import SceneGraph


def with_graphs(
    sets: Iterable[EvaluationSet], parse: Callable[[list[str]], Iterable[SceneGraph]]
) -> list[EvaluationSet]:
    """Return the sets with a graph for each text that has none; such texts come out cleaned.

    `parse` is called when there are texts to parse, and not before.

    Raises:
        UserError: there are texts to parse, and spaCy or its pipeline is not installed.
    """
    sets = list(sets)
    bare = list(
        dict.fromkeys(
            clean_caption(words_of(text))
            for data in sets
            if isinstance(data, TextSet)
            for text in data.texts
            if _graph(text) is None
        )
    )
    graphs = dict(zip(bare, parse(bare), strict=True)) if bare else {}

    def caption(text: Text) -> Caption:
        if _graph(text) is not None:
            return Caption(words_of(text), _graph(text))
        words = clean_caption(words_of(text))
        return Caption(words, graphs[words])

    return _rewritten(sets, caption, _which)


def parse_once(texts: list[str], model: str, cache: Cache) -> list[SceneGraph]:
    """Parse texts by a spaCy pipeline, or return what its version made of them before.

    Raises:
        UserError: the pipeline, or spaCy itself, is not installed.
    """

    def parsed() -> list[Any]:
        return [graph_to_json(graph) for graph in Parser(model).parse(texts)]

    origin = "\0".join([f"{installed_version(model)}", *texts])
    name, doing = "held_out_graphs", f"{len(texts):,} held-out texts are parsed"
    return [graph_from_json(graph, name) for graph in cache(name, origin, parsed, doing)]


def without_graphs(sets: Iterable[EvaluationSet]) -> list[EvaluationSet]:
    """Return the sets with bare texts."""
    return _rewritten(sets, words_of, lambda data: "no")


def _which(data: TextSet) -> str:
    """Name the graphs that the texts of a set have once those without are parsed."""
    known = sum(_graph(text) is not None for text in data.texts)
    return "parsed" if not known else "own" if known == len(data.texts) else "own and parsed"


def _rewritten(
    sets: Iterable[EvaluationSet],
    rewrite: Callable[[Text], Text],
    graphs: Callable[[TextSet], str],
) -> list[EvaluationSet]:
    return [
        data.with_texts([rewrite(text) for text in data.texts], graphs(data))
        if isinstance(data, TextSet)
        else data
        for data in sets
    ]


def _graph(text: Text) -> SceneGraph | None:
    return text.graph if isinstance(text, Caption) else None
