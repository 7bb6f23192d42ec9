"""Random numbers as a function of (seed, purpose, indices), the same on every host and worker."""

import zlib

import numpy as np


def generator(seed: int, purpose: str, *indices: int) -> np.random.Generator:
    """Return the generator that belongs to one draw.

    Args:
        seed: the seed of the run or of a data set.
        purpose: what the numbers are for ("caption", "augment", ...). Two purposes at the same
            index give independent streams.
        *indices: non-negative integers, for instance (epoch, record index).

    Philox is counter based: making a generator is cheap, and streams of near seeds do not meet.
    """
    entropy = (seed, zlib.crc32(purpose.encode()), *indices)
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy)))
