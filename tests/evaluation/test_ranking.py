import tracemalloc

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from kgclip_jax.evaluation import ranking
from kgclip_jax.evaluation.ranking import TIE_TOLERANCE, beats, best_ranks

# Few distinct values, so that ties abound.
coarse = st.integers(-2, 2).map(float)


def naive_ranks(queries, candidates, query_keys, candidate_keys) -> list[int]:
    ranks = []
    for query, key in zip(queries, query_keys, strict=True):
        scored = [
            (float(np.dot(query, candidate)), other == key)
            for candidate, other in zip(candidates, candidate_keys, strict=True)
        ]
        best = max(score for score, right in scored if right)
        ranks.append(1 + sum(score >= best for score, right in scored if not right))
    return ranks


@given(
    arrays.arrays(np.float32, (5, 3), elements=coarse),
    arrays.arrays(np.float32, (7, 3), elements=coarse),
    st.lists(st.integers(0, 3), min_size=5, max_size=5),
    st.permutations([0, 1, 2, 3, 0, 1, 1]),
)
def test_ranks_agree_with_a_naive_loop(queries, candidates, query_keys, candidate_keys):
    keys = np.array(query_keys), np.array(candidate_keys)
    assert best_ranks(queries, candidates, *keys).tolist() == naive_ranks(
        queries, candidates, *keys
    )


def test_block_size_does_not_matter(random_units, monkeypatch):
    queries, candidates = random_units(0, 50, 8), random_units(1, 30, 8)
    keys = np.arange(50) % 30, np.arange(30)
    whole = best_ranks(queries, candidates, *keys)
    for entries in (1, 30, 100, 50 * 30):
        monkeypatch.setattr(ranking, "_SCORES_IN_MEMORY", entries)
        np.testing.assert_array_equal(best_ranks(queries, candidates, *keys), whole)


def test_a_collapsed_or_broken_model_ranks_last():
    for value in (1.0, np.nan):
        everything = np.full((6, 4), value, dtype=np.float32)
        keys = np.arange(6)
        assert best_ranks(everything, everything, keys, keys).tolist() == [6] * 6


def test_one_broken_candidate_counts_as_ahead():
    candidates = np.array([[1, 0], [np.nan, 0], [0, 1]], dtype=np.float32)
    ranks = best_ranks(candidates[:1], candidates, np.array([0]), np.arange(3))
    assert ranks.tolist() == [2]


def test_rounding_does_not_break_ties(random_units):
    # The same candidate at many places of a matrix: its scores differ in the last digits.
    one = random_units(2, 1, 515)
    crowd = np.repeat(one, 301, axis=0)
    queries = random_units(3, 40, 515)
    keys = np.arange(40)
    assert (best_ranks(queries, crowd, keys, np.arange(301)) == 301).all()


def test_beats_is_strict():
    right = np.array([0.5, 0.5, 0.5, np.nan, 0.5])
    wrong = np.array([0.4, 0.5, 0.5 - TIE_TOLERANCE / 2, 0.0, np.nan])
    assert beats(right, wrong).tolist() == [True, False, False, False, False]


def test_memory_is_bounded():
    # The full matrix of scores would take 480 MB.
    queries = np.zeros((4_000, 4), dtype=np.float32)
    candidates = np.zeros((30_000, 4), dtype=np.float32)
    tracemalloc.start()
    best_ranks(queries, candidates, np.arange(4_000), np.arange(30_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6
