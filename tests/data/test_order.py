"""Keyed permutations are fair bijections; mixtures keep their shares at any step, in any pieces."""

import itertools
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from kgclip_jax.data import order
from kgclip_jax.data.order import Draws, Mixture, Permutation, round_keys

KEYS = 40_000
FALSE_ALARMS = 1e-7


def orders(length, rounds=8):
    """The orders of range(length) under neighbouring seeds, one a row."""
    keys = np.stack([round_keys(seed, "captions", "coco", 0) for seed in range(KEYS)], axis=1)
    permutation = Permutation(length, np.repeat(keys[:rounds], length, axis=1))
    return permutation(np.tile(np.arange(length), KEYS)).reshape(KEYS, length)


def positions_are_fair(found):
    """Whether each index goes equally often to each position."""
    length = found.shape[1]
    counts = np.stack([np.bincount(found[:, i], minlength=length) for i in range(length)])
    expected = KEYS / length
    # Rows and columns both sum to the number of keys, hence (n-1)^2 degrees and this factor.
    score = ((counts - expected) ** 2).sum() / expected * (length - 1) / length
    return score < stats.chi2.isf(FALSE_ALARMS, (length - 1) ** 2)


def orders_are_fair(found):
    """Whether each whole order comes equally often."""
    counts = Counter(map(tuple, found.tolist()))
    possible = list(itertools.permutations(range(found.shape[1])))
    expected = KEYS / len(possible)
    score = sum((counts[order] - expected) ** 2 for order in possible) / expected
    return score < stats.chi2.isf(FALSE_ALARMS, len(possible) - 1)


class TestPermutation:
    def test_every_small_length_is_permuted(self):
        for length in range(1, 2001):
            found = Permutation.keyed(length, 0, "x")(np.arange(length))
            assert np.array_equal(np.sort(found), np.arange(length)), length

    @pytest.mark.parametrize("length", [2**33, 2**33 + 1, 12_800_000_000, 2**40])
    def test_large_lengths_are_permuted(self, length):
        """Samples with the ends: no two indices meet, all positions are reached alike."""
        ends = np.arange(100_000)
        middle = length // 2 + ends
        indices = np.concatenate([ends, middle, length - 1 - ends])
        found = Permutation.keyed(length, 0, "x")(indices)
        assert found.min() >= 0
        assert found.max() < length
        assert len(np.unique(found)) == len(indices)
        counts = np.bincount(found * 100 // length, minlength=100)
        score = ((counts - len(indices) / 100) ** 2).sum() / (len(indices) / 100)
        assert score < stats.chi2.isf(FALSE_ALARMS, 99)
        assert abs(np.corrcoef(found[:-1], found[1:])[0, 1]) < 6 / len(indices) ** 0.5

    @pytest.mark.parametrize("length", [4, 5, 10])
    def test_orders_of_few_records_are_fair(self, length):
        found = orders(length)
        assert positions_are_fair(found)
        assert length > 5 or orders_are_fair(found)

    def test_four_rounds_would_be_unfair(self):
        assert not positions_are_fair(orders(10, rounds=4))
        assert not orders_are_fair(orders(5, rounds=4))

    def test_few_bits_would_be_unfair(self, monkeypatch):
        monkeypatch.setattr(order, "FEWEST_BITS", 2)
        assert not orders_are_fair(orders(5))

    def test_no_two_orders_agree(self):
        """Near seeds, streams, sources and epochs: few common positions, no shifted run."""
        parts = itertools.product((0, 1), ("captions", "graph"), ("a", "b"), (0, 1, 2))
        found = [Permutation.keyed(1000, *each)(np.arange(1000)) for each in parts]
        for one, other in itertools.combinations(found, 2):
            shifts_of_records = np.bincount((one - other) % 1000)
            shifts_of_positions = np.bincount((np.argsort(one) - np.argsort(other)) % 1000)
            # 552,000 numbers near Poisson's of mean 1: any above 12 has a chance of 3e-5.
            assert max(shifts_of_records.max(), shifts_of_positions.max()) <= 12

    def test_an_order_never_changes(self):
        """Runs are resumed with later versions."""
        found = Permutation.keyed(10, 0, "captions", "coco", 0)(np.arange(10))
        assert found.dtype == np.int64
        assert found.tolist() == [3, 5, 9, 7, 0, 4, 2, 8, 6, 1]
        large = Permutation.keyed(10**9, 0, "captions", "coco", 0)(np.arange(3))
        assert large.tolist() == [891767757, 370687411, 542969586]

    def test_parts_are_told_apart(self):
        keys = [("a", "b/c"), ("a/b", "c"), ("a", "b", "c"), (1,), ("1",), ("é",), ("\udce9",)]
        assert len({round_keys(*parts).tobytes() for parts in keys}) == len(keys)

    def test_no_indices_give_none(self):
        assert len(Permutation.keyed(5)(np.arange(0))) == 0

    def test_refusals(self):
        with pytest.raises(ValueError, match="at least 1, not 0"):
            Permutation.keyed(0, 1)
        for index in (-1, 5):
            with pytest.raises(IndexError, match=r"range\(5\)"):
                Permutation.keyed(5, 1)(np.array([0, index]))


def all_draws(mixture, steps):
    """Everything that some steps draw, one after the other."""
    parts = [mixture.draws(step, np.arange(mixture.rows)) for step in steps]
    return Draws(*map(np.concatenate, zip(*parts, strict=True)))


def equal(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


sources = st.lists(st.tuples(st.integers(1, 40), st.floats(1e-3, 1e3)), min_size=1, max_size=5).map(
    lambda pairs: tuple(zip(*pairs, strict=True))
)


def mixture(lengths=(7, 30), weights=(0.3, 0.7), rows=16, seed=0, stream="captions", names="abcde"):
    return Mixture(lengths, weights, tuple(names[: len(lengths)]), rows, seed, stream)


class TestMixture:
    @given(sources, st.integers(1, 33), st.integers(1, 12))
    def test_epochs_are_whole_and_shares_exact(self, sources, rows, steps):
        """Before any row a source has had its share; its draws are epochs, each a permutation."""
        lengths, weights = sources
        made = mixture(lengths, weights, rows)
        draws = all_draws(made, range(steps))
        for place, (length, weight) in enumerate(zip(lengths, weights, strict=True)):
            here = draws.source == place
            share = weight / sum(weights) * len(here)
            assert abs(here.sum() - share) < len(lengths)
            full, rest = divmod(int(here.sum()), length)
            seen = Counter(
                zip(draws.epoch[here].tolist(), draws.record[here].tolist(), strict=True)
            )
            assert max(seen.values(), default=1) == 1
            per_epoch = Counter(epoch for epoch, _ in seen)
            assert [per_epoch[epoch] for epoch in range(full + 1)] == [length] * full + [rest]
            assert all(0 <= record < length for _, record in seen)

    @given(sources, st.integers(1, 33), st.integers(0, 10**12), st.data())
    def test_rows_in_pieces_equal_the_whole(self, sources, rows, step, data):
        made = mixture(*sources, rows)
        asked = np.array(data.draw(st.lists(st.integers(0, rows - 1), max_size=8)), np.int64)
        whole = made.draws(step, np.arange(rows))
        assert equal(made.draws(step, asked), Draws(*(column[asked] for column in whole)))

    def test_starting_at_a_step_equals_going_on(self):
        through, later = all_draws(mixture(), range(9)), all_draws(mixture(), range(5, 9))
        assert equal(later, Draws(*(column[5 * 16 :] for column in through)))

    def test_decimal_weights_are_exact(self):
        """In binary ten times 0.1 is less than 1, and some step would be a row short."""
        made = mixture((5, 5, 5), (0.1, 0.2, 0.7), rows=10)
        for step in (0, 1, 10**6, 10**15):
            assert np.bincount(made.draws(step, np.arange(10)).source).tolist() == [1, 2, 7]

    def test_a_source_of_less_than_a_row_a_step(self):
        """Rounded cumulative weights would take some of its draws back."""
        draws = all_draws(mixture((9, 3, 9), (0.45, 0.05, 0.5), rows=1), range(60))
        assert np.bincount(draws.source).tolist() == [27, 3, 30]

    def test_sources_are_spread_over_the_rows(self):
        draws = all_draws(mixture((1000, 1000), (0.5, 0.5), rows=100), range(400))
        shares = draws.source.reshape(400, 100).mean(axis=0)  # of the second source in each row
        assert np.abs(shares - 0.5).max() < 6 * 0.5 / 400**0.5

    def test_the_order_of_a_source_is_a_function_of_its_name(self):
        """Not of its place, nor of what it is mixed with."""
        made = [
            mixture((50,), (1.0,), rows=50, names="b"),
            mixture((20, 50), (0.5, 0.5), rows=100, names="ab"),
            mixture((50, 20), (0.5, 0.5), rows=100, names="ba"),
        ]
        records = []
        for each, place in zip(made, (0, 1, 0), strict=True):
            expected = Permutation.keyed(50, 0, "captions", "b", 0)(np.arange(50))
            draws = each.draws(0, np.arange(each.rows))
            records.append(draws.record[draws.source == place])
            assert sorted(records[-1].tolist()) == sorted(expected.tolist())
        half = mixture((20, 50), (0.5, 0.5), rows=20, names="ab").draws(0, np.arange(20))
        assert set(half.record[half.source == 1].tolist()) == set(expected[:10].tolist())

    @pytest.mark.parametrize("other", [{"seed": 1}, {"stream": "graph"}, {"names": "xy"}])
    def test_seeds_streams_and_names_share_no_order(self, other):
        one, two = (
            mixture((5000, 3000), (0.5, 0.5), rows=1000, **each).draws(0, np.arange(1000))
            for each in ({}, other)
        )
        same = (one.source == two.source) & (one.record == two.record)
        assert same.sum() <= 8  # about 0.1 by chance

    def test_seed_0_epoch_1_is_not_seed_1_epoch_0(self):
        one = mixture((1000,), (1.0,), rows=1000).draws(1, np.arange(1000))
        two = mixture((1000,), (1.0,), rows=1000, seed=1).draws(0, np.arange(1000))
        assert set(one.epoch.tolist()) == {1}
        assert set(two.epoch.tolist()) == {0}
        assert (one.record == two.record).sum() <= 8

    def test_far_steps_of_large_sources(self):
        made = mixture((2**33, 1), (0.999, 0.001), rows=4096)
        draws = made.draws(10**10, np.arange(4096))
        assert draws.epoch[draws.source == 0].min() == int(0.999 * 4096 * 10**10) // 2**33
        assert draws.record.max() < 2**33

    def test_a_source_without_records_is_refused(self):
        with pytest.raises(ValueError, match="'b' has no records"):
            mixture(lengths=(7, 0))

    def test_refused_positions(self):
        with pytest.raises(ValueError, match="from 0, not -1"):
            mixture().draws(-1, np.arange(1))
        with pytest.raises(IndexError, match=r"range\(16\)"):
            mixture().draws(0, np.array([16]))


def test_workers_need_no_jax():
    command = "import kgclip_jax.data.order, sys; sys.exit('jax' in sys.modules)"
    subprocess.run([sys.executable, "-c", command], check=True)
