"""Slots of text lengths: what they refuse, what they cut, and that they are the cheapest."""

import csv
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgclip_jax.data import text_slots
from kgclip_jax.data.text_slots import TextSlots, choose_slots, one_slot
from kgclip_jax.data.tokenization.clip_tokenizer import ClipTokenizer

SLOTS = TextSlots(unit=4, rows=(2, 1, 1), lengths=(5, 8, 20))


def test_rows_are_ordered_by_length_and_ties_keep_their_order():
    assert SLOTS.order(np.array([9, 3, 9, 2])).tolist() == [3, 1, 0, 2]


def padding(slots, lengths):
    """The share of a unit's tokens that hold no text; lengths ascend."""
    room = np.repeat(slots.lengths, slots.rows)
    return 1 - np.minimum(lengths, room).sum() / room.sum()


def test_texts_that_do_not_fit_their_slot_are_counted():
    assert SLOTS.cut(np.array([1, 5, 8, 20])) == 0
    assert SLOTS.cut(np.array([5, 6, 9, 20])) == 2


def test_one_slot_cuts_nothing():
    assert one_slot(4, 77) == TextSlots(4, (4,), (77,))
    assert one_slot(4, 77).cut(np.full(4, 77)) == 0


@pytest.mark.parametrize(
    ("rows", "lengths", "message"),
    [
        ((), (), "rows and a length each"),
        ((4,), (5, 8), "rows and a length each"),
        ((2, 1), (5, 8), r"\(2, 1\) must sum to the unit, 4"),
        ((2, 2), (8, 5), "ascend"),
        ((2, 2), (5, 5), "ascend"),
    ],
)
def test_refused_slots(rows, lengths, message):
    with pytest.raises(ValueError, match=message):
        TextSlots(4, rows, lengths)


def every_slots(unit, multiple, longest, most):
    """All slots there are."""
    for count in range(1, most + 1):
        for lengths in itertools.combinations(range(1, longest + 1), count):
            for rows in itertools.product(range(multiple, unit + 1, multiple), repeat=count):
                if sum(rows) == unit:
                    yield TextSlots(unit, rows, lengths)


def tokens(slots):
    return sum(rows * length for rows, length in zip(slots.rows, slots.lengths, strict=True))


@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=5),
    st.sampled_from([1, 2]),
    st.integers(1, 3),
    st.sampled_from([0.01, 0.1, 0.3]),
)
def test_nothing_is_better(lengths, multiple, most, cut_share):
    """Of all slots, none has fewer tokens and cuts no more; cuts are averages over all units."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_slots, "STANDARD_ERRORS", 0)
        chosen = choose_slots(
            np.array(lengths), unit=4, multiple=multiple, longest=5, most=most, cut_share=cut_share
        )
    units = np.sort(np.array(list(itertools.product(lengths, repeat=4))), axis=1)

    def share(slots):
        return np.mean(units > np.repeat(slots.lengths, slots.rows))

    assert share(chosen) <= cut_share + 1e-9
    assert len(chosen.rows) <= most
    for other in every_slots(4, multiple, 5, most):
        assert tokens(other) >= tokens(chosen) or share(other) > share(chosen) - 1e-9


def test_a_small_sample_is_not_trusted():
    """That ten texts are short says little of the next thousands."""
    few, many = (
        choose_slots(np.full(count, 9), unit=64, multiple=8, longest=77) for count in (10, 10**5)
    )
    assert few.lengths[-1] == 77
    assert many == one_slot(64, 9)


@pytest.fixture(scope="module")
def captions(shared_data):
    """Token lengths of the captions of Flickr8k, for two halves of the photographs."""
    with open(shared_data / "flickr8k" / "captions.txt", newline="") as file:
        texts = [row["caption"] for row in csv.DictReader(file)]
    tokenizer = ClipTokenizer()
    lengths = tokenizer.lengths(tokenizer(texts)).reshape(-1, 5)
    return lengths[::2].ravel(), np.random.default_rng(0).permutation(lengths[1::2].ravel())


@pytest.mark.parametrize("unit", [64, 256])
@pytest.mark.parametrize("multiple", [1, 8])
def test_other_captions_fit_with_little_padding(captions, unit, multiple):
    sampled, others = captions
    slots = choose_slots(sampled, unit=unit, multiple=multiple, longest=77)
    assert all(rows % multiple == 0 for rows in slots.rows)
    units = others[: len(others) // unit * unit].reshape(-1, unit)
    units = [lengths[slots.order(lengths)] for lengths in units]
    assert np.mean([slots.cut(lengths) for lengths in units]) / unit <= 0.001
    assert np.mean([padding(slots, lengths) for lengths in units]) <= 0.3
    assert np.mean([padding(one_slot(unit, 77), lengths) for lengths in units]) > 0.8
