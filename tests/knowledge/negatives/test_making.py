"""The one way in: choice of kinds, what is refused and why, and what is counted."""

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgclip_jax.data.emoji import EmojiScenes, EmojiWorld
from kgclip_jax.data.emoji.caption_words import ASIDE, BETWEEN, SYNONYMS
from kgclip_jax.errors import ConfigError
from kgclip_jax.knowledge.caption import Caption
from kgclip_jax.knowledge.english import article
from kgclip_jax.knowledge.negatives import MADE, Negative, NegativeSettings, make_negatives
from kgclip_jax.knowledge.negatives.listed import LISTED, Listed
from kgclip_jax.knowledge.negatives.negative_config import (
    LACKS,
    REARRANGEMENTS,
    REPLACEMENTS,
    SHUFFLES,
)
from kgclip_jax.knowledge.scene_graph import Attribute, SceneGraph, SceneObject, entails
from kgclip_jax.knowledge.vocabulary import Vocabulary
from kgclip_jax.random import generator
from kgclip_jax.schema import parse
from tests.knowledge.worded import captions, worded

SWAPS = dict.fromkeys(("swap_objects", "swap_attributes", "swap_relation"), 1.0)


def make(caption: Caption, kinds: dict[str, float], count: int = 1, seed: int = 0, **more):
    settings = NegativeSettings(kinds, count)
    return make_negatives(caption, generator(seed, "test"), settings, **more)


def reason(marked: str, kind: str, **more) -> str:
    (negative,) = make(worded(marked), {kind: 1.0}, **more)
    assert negative[:3] == ("", None, "")
    assert not negative.valid
    return negative.reason.removeprefix(f"{kind}: ")


@pytest.mark.parametrize(
    ("marked", "kind"),
    [
        ("a {cat|#0} and a {dog|#1}", "swap_objects"),
        ("a {cat|#0} {next to|0>1} a {dog|#1}", "swap_relation"),
        ("a {cat|#0} {sits near=sit near|0>1} a {dog|#1}", "swap_objects"),
        ("a {boy|#0} {with|0>1} a {girl|#1}", "swap_relation"),
        ("a {boy|#0} {plays with=play with|0>1} a {girl|#1}", "swap_relation"),
        ("a {big|0} {cat|#0} {by|0>1} a {small|1} {cat|#1}", "swap_attributes"),
    ],
)
def test_what_the_caption_itself_says_is_refused(marked: str, kind: str) -> None:
    assert reason(marked, kind) == "true of the picture"


@pytest.mark.parametrize(
    ("predicate", "swapped"),
    [
        ("ridden by=ride by", "a dog ridden by a cat"),
        ("covered with=cover with", "a dog covered with a cat"),
    ],
)
def test_what_only_looks_symmetric_is_kept(predicate: str, swapped: str) -> None:
    marked = f"a {{cat|#0}} {{{predicate}|0>1}} a {{dog|#1}}"
    assert make(worded(marked), {"swap_relation": 1.0})[0].text == swapped


def test_what_the_scene_shows_is_refused() -> None:
    scene = SceneGraph(
        (
            SceneObject("cat", (Attribute("red"),)),
            SceneObject("dog", (Attribute("red"),)),
            SceneObject("cup"),
        )
    )
    marked = "a {red|0} {dog|#0} and a {cat|#1}"
    assert reason(marked, "swap_objects", known=[scene]) == "true of the picture"
    marked = "a {cup|#0} and a {cat|#1}"
    vocabulary = Vocabulary([worded("a {dog|#0}")])
    told = reason(marked, "replace_object", vocabulary=vocabulary, known=[scene])
    assert told == "true of the picture"
    assert make(worded(marked), {"replace_object": 1.0}, vocabulary=vocabulary)[0].valid


@pytest.mark.parametrize(
    "shout", [str.lower, str.upper, lambda text: text[:12].upper() + text[12:]]
)
def test_shouted_captions_have_the_negatives_of_quiet_ones(shout) -> None:
    quiet = worded("a {small|0} {dog|#0} {runs behind=run behind|0>1} a {large|1} {cat|#1}")
    loud = Caption(shout(quiet.text), quiet.graph)
    vocabulary = Vocabulary([Caption("AN OLD OWL", worded("an {old|0} {owl|#0}").graph)])
    made = {
        kind: make(loud, {kind: 1.0}, vocabulary=vocabulary)[0].text
        for kind in (*SWAPS, "replace_object", "replace_attribute", "shuffle")
    }
    assert made["swap_attributes"] == "a large dog runs behind a small cat"
    assert made["swap_relation"] == "a large cat runs behind a small dog"
    assert made["replace_object"] in (
        "a small owl runs behind a large cat",
        "a small dog runs behind a large owl",
    )
    assert made["replace_attribute"] in (
        "an old dog runs behind a large cat",
        "a small dog runs behind an old cat",
    )
    assert all(text == text.lower() for text in made.values())


@pytest.mark.parametrize("kind", sorted(LACKS.keys() - {*LISTED}))
def test_captions_without_negatives_are_masked(kind: str) -> None:
    vocabulary = Vocabulary([])
    silent = Caption("dogs")
    (negative,) = make(silent, {kind: 1.0})
    why = LACKS[kind] if kind in SHUFFLES else "the caption has no scene graph"
    assert negative == Negative("", None, "", f"{kind}: {why}")
    assert reason("", kind, vocabulary=vocabulary) == LACKS[kind]


@pytest.mark.parametrize("kind", sorted(SHUFFLES))
def test_words_are_shuffled_without_a_graph(kind: str) -> None:
    words = "a small dog runs on the grass"
    counts: Counter[tuple[str, str]] = Counter()
    for seed in range(20):
        (negative,) = make(Caption(words), {kind: 1.0}, seed=seed, counts=counts)
        assert negative.valid
        assert negative.graph is None
        assert sorted(negative.text.split()) == sorted(words.split())
        assert negative.text != words
    assert counts == {(kind, MADE): 20}


def test_equal_texts_are_refused() -> None:
    marked = "a {Small=little|0} {dog|#0} and a {small|1} {cat|#1}"
    assert reason(marked, "swap_attributes") == "same words as the caption or another negative"


def test_negatives_differ_and_end_when_there_are_no_more() -> None:
    counts: Counter[tuple[str, str]] = Counter()
    caption = worded("a {big|0} {cat|#0} {above|0>1} a {red|1} {dog|#1}")
    negatives = make(caption, SWAPS, count=5, counts=counts)
    assert {negative.text for negative in negatives} == {
        *("a big dog above a red cat", "a red cat above a big dog", "a red dog above a big cat"),
        "",
    }
    assert [negative.valid for negative in negatives] == [True] * 3 + [False] * 2
    assert counts == {(kind, MADE): 1 for kind in SWAPS} | {(k, "no other one"): 1 for k in SWAPS}
    assert negatives[-1].reason.count("no other one") == 3


def test_kinds_are_drawn_by_weight_and_stand_in_for_each_other() -> None:
    caption = worded("a {big|0} {cat|#0} {above|0>1} a {red|1} {dog|#1}")
    weights = {"swap_objects": 3.0, "swap_attributes": 1.0}
    made = Counter(make(caption, weights, seed=seed)[0].kind for seed in range(400))
    assert abs(made["swap_objects"] - 300) < 5 * 9
    assert sum(made.values()) == made["swap_objects"] + made["swap_attributes"]
    plain = worded("a {big|0} {cat|#0} and a {dog|#1}")
    counts: Counter[tuple[str, str]] = Counter()
    for seed in range(40):
        make(plain, weights, seed=seed, counts=counts)
    assert counts["swap_objects", MADE] == 40
    assert 0 < counts["swap_attributes", LACKS["swap_attributes"]] < 30


def test_structure_clip_says_what_it_did() -> None:
    caption = worded("a {cat|#0} {above|0>1} a {dog|#1}")
    counts: Counter[tuple[str, str]] = Counter()
    (negative,) = make(caption, {"structure_clip": 1.0}, counts=counts)
    assert negative.kind == "swap_objects"
    assert counts == {("swap_objects", MADE): 1}


@given(captions(), st.integers(1, 5), st.integers(0, 99))
def test_valid_negatives_are_new_and_false(caption: Caption, count: int, seed: int) -> None:
    kinds = dict.fromkeys([*REARRANGEMENTS], 1.0)
    negatives = make(caption, kinds, count, seed)
    assert negatives == make(caption, kinds, count, seed)
    assert len(negatives) == count
    valid = [negative for negative in negatives if negative.valid]
    assert negatives[: len(valid)] == valid
    texts = [" ".join(text.lower().split()) for text in (caption.text, *(n.text for n in valid))]
    assert len(set(texts)) == len(texts)
    for negative in valid:
        assert negative.graph is None or not entails(caption.graph, negative.graph)


@pytest.fixture(scope="module")
def emoji() -> tuple[EmojiScenes, Vocabulary]:
    source = EmojiScenes(EmojiWorld(scenes=100, max_objects=4, max_words=24), 32)
    said = [source.caption(n, generator(0, "caption", n)) for n in range(len(source))]
    return source, Vocabulary(said)


@pytest.mark.parametrize("kind", sorted((*REARRANGEMENTS, *REPLACEMENTS)))
def test_negatives_of_emoji_captions_are_false(emoji, kind: str) -> None:
    source, vocabulary = emoji
    made = 0
    for number in range(len(source)):
        caption = source.caption(number, generator(1, "caption", number))
        (scene,) = source.known(number)
        for text, graph, _, why in make(
            caption, {kind: 1.0}, 2, number, vocabulary=vocabulary, known=[scene]
        ):
            if why or graph is None:
                continue
            made += 1
            assert not entails(scene, graph)
            for name, span in spans(graph):
                assert text[slice(*span)] in words_for(name)
            words = text.replace(";", "").replace(",", "").split()
            for word, following in itertools.pairwise(words):
                assert word not in ("a", "an") or word == article(following)
    assert made > 25 or kind in ("shuffle", "swap_words")


def spans(graph: SceneGraph):
    for thing in graph.objects:
        yield thing.name, thing.span
        yield from thing.attributes
    for relation in graph.relations:
        yield relation.predicate, relation.span


def words_for(name: str) -> tuple[str, ...]:
    if name in BETWEEN:
        return BETWEEN[name] + ASIDE[name]
    return SYNONYMS.get(name, (name,))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kinds": {"swap_object": 1.0}}, "did you mean swap_objects"),
        ({"kinds": {}}, "kinds is empty; known here: listed"),
        ({"kinds": {"shuffle": 0.0}}, "kinds.shuffle must be above 0"),
        ({"count": 0}, "count must be at least 1"),
        ({"sibling_share": 1.5}, "sibling_share must be at most 1"),
        ({"sibling_share": 0.1}, "sibling_share is for a hierarchy"),
        ({"hierarchy": "a.txt"}, "hierarchy is for the kinds replace_object, replace_attribute"),
    ],
)
def test_settings_that_make_no_sense(values, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"negatives.*{message}"):
        parse(NegativeSettings, values, "negatives")


def test_replacements_need_a_vocabulary() -> None:
    assert NegativeSettings({"replace_object": 1.0}).needs_vocabulary
    assert not NegativeSettings().needs_vocabulary
    with pytest.raises(ConfigError, match="replace_object need a vocabulary"):
        make(worded("a {cat|#0}"), {"replace_object": 1.0})


def test_one_of_each_kind_in_its_place() -> None:
    kinds = {"listed_relation": 1.0, "listed_noun": 1.0, "swap_objects": 1.0}
    settings = NegativeSettings(kinds, 3, one_of_each=True, file="x.json")
    entries = [Listed("listed_noun", "a fox"), Listed("listed_verb", "a dog sleeps")]
    made = make_negatives(Caption("a dog"), generator(0, "test"), settings, entries=entries)
    assert [negative.text for negative in made] == ["a fox", "", ""]  # places by name, not as given
    assert [negative.valid for negative in made] == [True, False, False]
    assert made[1].reason == "listed_relation: the file lists none"
    assert made[2].reason == "swap_objects: the caption has no scene graph"
    with pytest.raises(ValueError, match="set count to 3"):
        NegativeSettings(kinds, 1, one_of_each=True, file="x.json")


def test_agreement_can_be_switched_off() -> None:
    caption = worded("a {man|#0} {rides=ride|0>1} {horses=horse|#1}")
    settings = NegativeSettings({"structure_clip": 1.0}, agreement=False)
    (negative,) = make_negatives(caption, generator(0, "test"), settings)
    assert negative.text == "a horses rides man"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kinds": {"listed": 1.0}}, "file is needed by the kinds listed"),
        ({"kinds": {"shuffle": 1.0}, "file": "x.tsv"}, "file is for the kinds listed"),
        ({"kinds": {"shuffle": 1.0}, "agreement": False}, "agreement is for the kinds swap_obj"),
    ],
)
def test_settings_that_change_nothing_are_refused(settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        NegativeSettings(**settings)
