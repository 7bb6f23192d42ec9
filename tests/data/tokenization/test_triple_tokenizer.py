"""Scene graphs as token ids: slots, order, padding, memory."""

import pickle

import numpy as np
import pytest

from kgclip_jax.data.tokenization import triple_tokenizer as module
from kgclip_jax.data.tokenization.clip_tokenizer import ClipTokenizer
from kgclip_jax.data.tokenization.tokenizer_config import Tokenizers
from kgclip_jax.data.tokenization.triple_tokenizer import TripleTokenizer, triple_tokenizer
from kgclip_jax.errors import ConfigError
from kgclip_jax.knowledge.caption import Caption
from kgclip_jax.knowledge.scene_graph import SceneGraph
from kgclip_jax.models.spec import KnowledgeEncoder, Transformer
from tests.knowledge.worded import worded

START, END = 49406, 49407
IDS = {"dog": 1929, "cat": 2368, "above": 4348, "is": 533, "small": 2442, "red": 736}  # CLIP's own

DOG = worded("a {small|0} {red|0} {dog|#0} {above|0>1} a {cat|#1}")
CAT = worded("a {red|0} {cat|#0}")
RELATION, SMALL, RED = ("dog", "above", "cat"), ("dog", "is", "small"), ("dog", "is", "red")


def tokenizer(slots=6, length=5, whole=False, converses=()):
    return TripleTokenizer(ClipTokenizer(length), slots, whole, converses)


def words(rows):
    """Token ids of triples of single words, as CLIP's vocabulary file has them."""
    names = {number: name for name, number in IDS.items()}
    found = []
    for triple in rows.tolist():
        for start, _, end, *rest in triple:
            assert (start, end, set(rest)) == (START, END, {-1})
        found.append(tuple(names[element[1]] for element in triple))
    return found


def test_relations_come_first_and_the_rest_is_empty():
    tokens, mask = tokenizer()([DOG, "no graph", CAT, Caption("nothing", SceneGraph(()))])
    assert (tokens.shape, tokens.dtype) == ((4, 6, 3, 5), np.int32)
    assert mask.sum(axis=1).tolist() == [3, 0, 1, 0]
    assert words(tokens[0, :3]) == [RELATION, SMALL, RED]
    assert words(tokens[2, :1]) == [("cat", "is", "red")]
    assert np.all(mask[:, :-1] >= mask[:, 1:])  # real ones in front
    assert np.all(tokens[~mask] == -1)


def test_triples_are_of_the_words_of_the_text():
    caption = worded("A {Small=tiny|0} {Dog=hound|#0} {above=over|0>1} a {cat|#1}")
    tokens, mask = tokenizer()([caption])
    assert words(tokens[0][mask[0]]) == [RELATION, SMALL]


def test_relations_may_be_told_by_their_canonical_names():
    under = worded("a {cat|#0} {below=under|0>1} a {small|1} {dog|#1}")
    make = pickle.loads(pickle.dumps(tokenizer(converses=((("above",), ("below", "under")),))))
    tokens, mask = make([under])
    assert words(tokens[0][mask[0]]) == [RELATION, SMALL]


@pytest.mark.parametrize(("slots", "kept"), [(1, [RELATION]), (2, [RELATION, SMALL])])
def test_what_exceeds_the_slots_is_cut(slots, kept):
    tokens, mask = tokenizer(slots)([DOG])
    assert mask.all()
    assert words(tokens[0]) == kept


def test_long_elements_are_cut_to_their_length_and_end_all_the_same():
    caption = worded("a {fire truck with a ladder|#0} {on|0>1} a {hill|#1}")
    tokens, mask = tokenizer(length=4)([caption])
    assert mask.sum() == 1
    start, first, second, end = tokens[0, 0, 0].tolist()
    assert (start, end) == (START, END)
    assert ClipTokenizer(77)(["fire truck"])[0, 1:3].tolist() == [first, second]


def test_padding_is_no_token_but_where_it_is_wanted():
    parts, whole = (tokenizer(whole=whole)([DOG])[0][0, 0, 0] for whole in (False, True))
    assert parts.tolist() == [START, IDS["dog"], END, -1, -1]
    assert whole.tolist() == ClipTokenizer(5)(["dog"])[0].tolist()


def test_no_texts():
    tokens, mask = tokenizer()([])
    assert (tokens.shape, mask.shape) == ((0, 6, 3, 5), (0, 6))


class Counting:
    """CLIP's tokenizer, and how many texts it was asked about."""

    def __init__(self):
        self.inner = ClipTokenizer(5)
        self.asked = []

    def __call__(self, texts):
        self.asked.extend(texts)
        return self.inner(texts)

    def __getattr__(self, name):
        return getattr(self.inner, name)


def test_each_element_is_tokenised_once(monkeypatch):
    counting = Counting()
    make = TripleTokenizer(counting, 6, False)
    first = make([DOG, CAT])
    assert sorted(counting.asked) == ["above", "cat", "dog", "is", "red", "small"]
    np.testing.assert_array_equal(make([DOG, CAT]).tokens, first.tokens)
    assert len(counting.asked) == 6
    monkeypatch.setattr(module, "_REMEMBERED", 5)  # full: it forgets, and asks again
    more = make([worded("a {dog|#0} {near|0>1} a {cat|#1}")])
    assert sorted(counting.asked[6:]) == ["cat", "dog", "near"]
    np.testing.assert_array_equal(make([DOG]).tokens[0], first.tokens[0])
    assert words(more.tokens[0, :1, ::2]) == [("dog", "cat")]


def test_it_pickles_without_its_memory():
    make = tokenizer(slots=4, whole=True)
    empty = len(pickle.dumps(make))
    expected = make([DOG])
    data = pickle.dumps(make)
    assert len(data) == empty
    copy = pickle.loads(data)
    assert (copy.slots, copy.whole) == (4, True)
    np.testing.assert_array_equal(copy([DOG]).tokens, expected.tokens)


BLOCKS = Transformer(width=16, depth=1, heads=2, mlp_width=32)


def test_the_encoder_decides():
    assert triple_tokenizer(None, Tokenizers()) is None
    made = triple_tokenizer(KnowledgeEncoder(BLOCKS, triples=3, element_length=4), Tokenizers())
    assert made([DOG]).tokens.shape == (1, 3, 3, 4)
    assert not made.whole


def test_more_ids_than_the_encoder_has_are_refused():
    knowledge = KnowledgeEncoder(BLOCKS, elements="wordpiece", vocabulary=100)
    with pytest.raises(ConfigError, match=r"knowledge\.vocabulary 100 is smaller than .* 49408"):
        triple_tokenizer(knowledge, Tokenizers())
