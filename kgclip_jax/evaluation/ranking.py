"""Who beats whom: the one rule for ties, and ranks of the right candidate in bounded memory."""

import numpy as np
from jaxtyping import Bool, Float, Int

# Scores that differ by less count as equal. Float32 dot products of the same two vectors can
# differ in their last digits (about 1e-7) with their place in a matrix, so an exact comparison
# would decide ties by accident.
TIE_TOLERANCE = 1e-6

_SCORES_IN_MEMORY = 2**23  # entries of a block of the score matrix: 32 MiB as float32


def beats(
    right: Float[np.ndarray, "..."], wrong: Float[np.ndarray, "..."]
) -> Bool[np.ndarray, "..."]:
    """Tell where the right candidate scores strictly higher; a tie or a NaN is a loss."""
    return right > wrong + TIE_TOLERANCE


def best_ranks(
    queries: Float[np.ndarray, "queries d"],
    candidates: Float[np.ndarray, "candidates d"],
    query_keys: Int[np.ndarray, " queries"],
    candidate_keys: Int[np.ndarray, " candidates"],
) -> Int[np.ndarray, " queries"]:
    """Rank the best right candidate of each query among the wrong ones; 1 is first.

    A candidate is right for a query when their keys are equal. Only wrong candidates can be ahead,
    and each one ahead or *tied* counts: the rule is pessimistic, so a model that maps everything to
    one point gets the worst rank, not the best (as do NaN embeddings). A wrong caption with the
    very words of a right one is tied with it.

    The score matrix is made in blocks of 32 MiB, whatever the number of queries.

    The key of each query must occur among the candidates, or its rank has no meaning.
    """
    ranks = np.empty(len(queries), dtype=np.int64)
    rows = max(1, _SCORES_IN_MEMORY // max(1, len(candidates)))
    for start in range(0, len(queries), rows):
        block = slice(start, start + rows)
        scores = queries[block] @ candidates.T
        right = query_keys[block, None] == candidate_keys[None, :]
        best = np.max(scores, axis=1, where=right, initial=-np.inf)
        # "Not behind" instead of "ahead": comparisons with NaN are false, and must cost.
        behind = scores < best[:, None] - TIE_TOLERANCE
        ranks[block] = 1 + np.count_nonzero(~(behind | right), axis=1)
    return ranks
