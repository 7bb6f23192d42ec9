"""Scene-graph negatives of the captions of any pictures: which of two texts is the caption?

Each caption is parsed, and for each kind of negative one false text is made of it, by the rules
that training uses (`kgclip_jax.knowledge.negatives`); what the other captions of the same picture
say, alone or together, is true and not asked. Captions that allow no negative of a kind are left
out, so the kinds differ in n. Chance is 1/2 for a scorer without knowledge, and the blind row says
how much the texts alone give away: people seldom write "a ball with a brown dog".

A model that was trained with such negatives knows how they are made. Compare it on the suites of
others too (`configs/composition.py`).
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter

from kgclip_jax.data.evaluation_sets import Question
from kgclip_jax.data.questions import Decision, ask
from kgclip_jax.data.suites.assembly import Assembly
from kgclip_jax.knowledge.caption import Caption
from kgclip_jax.knowledge.facts import Known, together
from kgclip_jax.knowledge.negatives import NegativeSettings, make_negatives
from kgclip_jax.knowledge.scene_graph import SceneGraph
from kgclip_jax.random import generator

_logger = logging.getLogger(__name__)

Parse = Callable[[Iterable[str]], Iterator[SceneGraph]]


def swaps(
    suite: Assembly,
    captions: Sequence[tuple[int, str]],
    parse: Parse,
    kinds: Iterable[str],
    seed: int,
) -> list[Question]:
    """Ask for each kind of negative which of two texts is the caption, for all captions.

    Args:
        suite: where pictures and texts go.
        captions: the texts, each with the number of its picture.
        parse: turns captions into scene graphs.
        kinds: of negatives that need no vocabulary.
        seed: of the choice among several negatives of a caption.
    """
    graphs = parse(text for _, text in captions)
    parsed = [
        (picture, Caption(text, graph))
        for (picture, text), graph in zip(captions, graphs, strict=True)
    ]
    known = _known(parsed)
    questions = []
    for kind in kinds:
        settings = NegativeSettings({kind: 1.0})
        decisions: list[Decision] = []
        for number, (picture, caption) in enumerate(parsed):
            rng = generator(seed, f"swaps {kind}", number)
            negative = make_negatives(caption, rng, settings, known=known[picture])[0]
            if negative.valid:
                decisions.append(suite.caption_choice(picture, caption.text, [negative.text]))
        if not decisions:
            _logger.warning("swaps: no caption allows %s; the row is left out", kind)
        else:
            questions.append(ask(kind.replace("_", " "), decisions, chance=1 / 2))
    return questions


def _known(captions: Iterable[tuple[int, Caption]]) -> Mapping[int, Sequence[Known]]:
    """Return what all captions of each picture say, alone or together."""
    return {
        picture: together([caption.graph for _, caption in group if caption.graph is not None])
        for picture, group in groupby(captions, key=itemgetter(0))
    }
