"""Held-out sets of an emoji world that a config asks for.

    config.evaluation = dict(names=dict(kind="emoji_names", world=world, concepts="unseen"))

`world` is that of the source that is trained on. With another seed, or another number of concepts
that only evaluation shows, its "unseen" things are not those that training has left out.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np

from kgclip_jax.data.concept_sets import ConceptSet, check_heads, concept_set
from kgclip_jax.data.emoji.attribute_items import draw_item, families
from kgclip_jax.data.emoji.concept_senses import read_nouns, synonym_of
from kgclip_jax.data.emoji.concepts import catalogue, choose_concepts
from kgclip_jax.data.emoji.evaluation import scene_retrieval
from kgclip_jax.data.emoji.held_out_scenes import (
    TEMPLATES,
    class_names,
    dice_of,
    painted,
    single_things,
)
from kgclip_jax.data.emoji.render import Painter
from kgclip_jax.data.emoji.scenes import Scene
from kgclip_jax.data.emoji.source import EmojiScenes
from kgclip_jax.data.emoji.world import EmojiWorld, Splits, splits
from kgclip_jax.data.evaluation_sets import (
    ChoiceSet,
    LinearProbeSet,
    Question,
    RetrievalSet,
    ZeroShotSet,
)
from kgclip_jax.data.lazy_pictures import EvaluationTransform
from kgclip_jax.data.questions import ask_which
from kgclip_jax.data.text_concepts import TextConcepts
from kgclip_jax.errors import ConfigError
from kgclip_jax.knowledge.caption import Caption
from kgclip_jax.knowledge.english import article
from kgclip_jax.ranges import INT32_MAX, PositiveInt, Range
from kgclip_jax.schema import LocalPath, check

_LEAST_CONCEPTS = 2  # that can be taken for each other


@dataclass(frozen=True, kw_only=True)
class EmojiRetrieval:
    """Retrieval over unseen scenes: the source's own set, for runs without that source.

    Attributes:
        kind: tells this set apart from the others.
        world: what the scenes are made of.
        items: pictures, of one caption each.
    """

    kind: Literal["emoji_retrieval"]
    world: EmojiWorld
    items: Annotated[int, Range(2, INT32_MAX)] = 500

    def open(self, name: str, root: Path, transform: EvaluationTransform) -> RetrievalSet:
        """Draw the scenes. Nothing is read from `root`. Raises as `scene_retrieval` does."""
        parts = splits(self.world)
        scenes = scene_retrieval(parts, Painter(parts, transform.size), self.items)
        return scenes._replace(name=name)


@dataclass(frozen=True, kw_only=True)
class EmojiSet:
    """What the kinds that ask about one thing have in common.

    Attributes:
        world: what the scenes are made of.
        concepts: whose pictures are asked about: "seen" in training, or "unseen".
    """

    world: EmojiWorld
    concepts: Literal["seen", "unseen"] = "seen"

    def __post_init__(self) -> None:
        count = self.world.unseen_concepts
        check(
            self.concepts == "seen" or count >= _LEAST_CONCEPTS,
            f"world.unseen_concepts: unseen concepts to ask about are at least {_LEAST_CONCEPTS}, "
            f"not {count}",
        )

    def _numbers(self, parts: Splits) -> range:
        return parts.seen if self.concepts == "seen" else parts.unseen


@dataclass(frozen=True, kw_only=True)
class EmojiAttributes(EmojiSet):
    """What colour, size and place things have, and which are not there; see `attribute_items`.

    There is a row for each family of questions and direction ("colour, text", "colour, image"): see
    `ask_which`, which also says why a blind scorer is at chance.

    Attributes:
        kind: tells this set apart from the others.
        items: of each family.
    """

    kind: Literal["emoji_attributes"]
    items: PositiveInt = 200

    def open(self, name: str, root: Path, transform: EvaluationTransform) -> ChoiceSet:
        """Draw the items. Nothing is read from `root`.

        Raises:
            ConfigError: the world leaves nothing to ask about.
            DataError: a package with the pictures or the names is missing.
        """
        parts = splits(self.world)
        scenes: list[Scene] = []
        captions: list[Caption] = []
        questions: list[Question] = []
        for topic, family in families(parts).items():
            numbers = []
            for index in range(self.items):
                dice = dice_of(parts, f"{topic}, {self.concepts} concepts", index)
                item = draw_item(topic, family, parts, dice, self._numbers(parts))
                numbers.append([(n, n) for n in range(len(scenes), len(scenes) + len(item))])
                scenes += [scene for scene, _ in item]
                captions += [caption for _, caption in item]
            questions += ask_which(numbers, topic)
        pictures = painted(Painter(parts, transform.size), scenes, name)
        return ChoiceSet(name, pictures, captions, questions)


@dataclass(frozen=True, kw_only=True)
class EmojiNames(EmojiSet):
    """Which name belongs to a picture, of those of all things that there are drawings of?

    The pictures are of one thing each, by either artist, with any attributes: the first ones are
    those of zero-shot classification in the source's own sets, which asks for names of the same
    concepts alone. Training shows no picture of most of the names, and says them in no caption.
    Intervals are over pictures of these concepts: other concepts may be harder.

    Attributes:
        kind: tells this set apart from the others.
        among: names of "all" things compete, or the "own" ones of the concepts that are asked
            about: a model may know a name, and yet prefer whatever it was shown.
        items: pictures; all concepts have equally many, or one more.
    """

    kind: Literal["emoji_names"]
    concepts: Literal["seen", "unseen"] = "unseen"
    among: Literal["all", "own"] = "all"
    items: PositiveInt = 500

    def open(self, name: str, root: Path, transform: EvaluationTransform) -> ZeroShotSet:
        """Draw the pictures. Nothing is read from `root`. Raises DataError, see `catalogue`."""
        parts = splits(self.world)
        numbers = self._numbers(parts)
        scenes, labels = single_things(parts, self.items, f"{self.concepts} concepts", numbers)
        if self.among == "all":
            named = choose_concepts(len(catalogue()), self.world.seed)  # the world's come first
            labels = labels + numbers.start
        else:
            named = parts.concepts[numbers.start : numbers.stop]
        return ZeroShotSet(
            name,
            painted(Painter(parts, transform.size), scenes, name),
            labels,
            class_names(named),
            TEMPLATES,
            cutoffs=(1, 5, 10),
        )


@dataclass(frozen=True, kw_only=True)
class EmojiSynonyms(EmojiSet):
    """Which thing does a picture show, if things are called by words that no caption has?

    Of the concepts those are asked about that have a synonym in WordNet of which no word is in the
    name of any thing: "donut" does for a doughnut, and "domestic dog" not for a dog. From captions
    alone a model knows such words by what they are spelt with at most.

    Attributes:
        kind: tells this set apart from the others.
        wordnet: folder of `data.noun` and `index.noun`, absolute or relative to `data.path`.
        items: pictures; all of these concepts have equally many, or one more.
    """

    kind: Literal["emoji_synonyms"]
    wordnet: LocalPath
    items: PositiveInt = 500

    def open(self, name: str, root: Path, transform: EvaluationTransform) -> ZeroShotSet:
        """Draw the pictures.

        Raises:
            ConfigError: fewer than two concepts have a synonym.
            DataError: a file of WordNet is missing or malformed; or see `catalogue`.
        """
        parts, nouns = splits(self.world), read_nouns(root / self.wordnet)
        known = {word for thing in catalogue() for word in thing.name.lower().split()}
        synonyms: dict[str, int] = {}  # of two things with one synonym the first is asked about
        for number in self._numbers(parts):
            if word := synonym_of(parts.concepts[number], nouns, known):
                synonyms.setdefault(word, number)
        if len(synonyms) < _LEAST_CONCEPTS:
            raise ConfigError(f"{len(synonyms)} of the {self.concepts} concepts have a synonym")
        numbers = [*synonyms.values()]
        scenes, labels = single_things(parts, self.items, f"{self.concepts} concepts", numbers)
        return ZeroShotSet(
            name,
            painted(Painter(parts, transform.size), scenes, name),
            labels,
            [f"{article(word)} {word}" for word in synonyms],
            TEMPLATES,
            cutoffs=(1, 5, 10),
        )


@dataclass(frozen=True, kw_only=True)
class EmojiLinearProbe(EmojiSet):
    """A linear classifier of frozen picture embeddings, see `kgclip_jax.evaluation.linear_probe`.

    It tells which concept a picture of one thing shows.

    Attributes:
        kind: tells this set apart from the others.
        items: pictures that it is measured on; all concepts have equally many, or one more.
        training_items: others that it is fitted to.
    """

    kind: Literal["emoji_linear_probe"]
    items: PositiveInt = 500
    training_items: Annotated[int, Range(10, INT32_MAX)] = 1000

    def __post_init__(self) -> None:
        super().__post_init__()
        world = self.world
        count = world.concepts if self.concepts == "seen" else world.unseen_concepts
        check(
            self.training_items >= count,
            f"training_items: {self.training_items} pictures are too few for {count} concepts",
        )

    def open(self, name: str, root: Path, transform: EvaluationTransform) -> LinearProbeSet:
        """Draw the pictures. Nothing is read from `root`. Raises DataError, see `catalogue`."""
        parts = splits(self.world)
        painter, numbers = Painter(parts, transform.size), self._numbers(parts)
        measured, labels = single_things(parts, self.items, f"{self.concepts} concepts", numbers)
        purpose = f"linear probe, {self.concepts} concepts"
        training, training_labels = single_things(parts, self.training_items, purpose, numbers)
        return LinearProbeSet(
            name,
            painted(painter, measured, name),
            labels,
            painted(painter, training, name),
            training_labels,
        )


@dataclass(frozen=True, kw_only=True)
class EmojiConcepts:
    """Which cluster of captions do captions of further scenes belong to?

    These are no kinds of things: see `kgclip_jax.data.concept_sets`. The scenes are like those of
    training and follow them by number, so that the folder is made of an equal world that has so
    many more: `embed --source=emoji --set=world={...}` with `scenes` raised by `items`.

    Attributes:
        kind: tells this set apart from the others.
        world: of the scenes; `world.captions` must be set.
        folder: that `launch/prepare.py concepts` has made, absolute or in `data.path`.
        heads: a linear head for both towers, or one for images and one for texts.
        items: scenes.
    """

    kind: Literal["emoji_concepts"]
    world: EmojiWorld
    folder: LocalPath
    heads: tuple[str, ...] = ("concept_map",)
    items: PositiveInt = 500

    def __post_init__(self) -> None:
        check(self.world.captions is not None, "world.captions must say how many a scene has")
        check_heads(self.heads)

    def open(self, name: str, root: Path, transform: EvaluationTransform) -> ConceptSet:
        """Draw the scenes, and look up the concepts of their captions.

        Raises:
            DataError: the folder is missing or malformed, or lacks some of the captions; or see
                `catalogue`.
        """
        world = replace(self.world, scenes=self.world.scenes + self.items)
        scenes, numbers = EmojiScenes(world, transform.size), range(self.world.scenes, world.scenes)
        captions = [scenes.captions(number) for number in numbers]
        painter = Painter(splits(world), transform.size)
        described = RetrievalSet(
            name,
            painted(painter, [scenes.scene(number) for number in numbers], name),
            [caption for each in captions for caption in each],
            np.repeat(np.arange(self.items), [len(each) for each in captions]),
        )
        return concept_set(described, TextConcepts(root / self.folder), self.heads)
