"""Milliseconds that it takes to say which records stand in the rows of a step.

    taskset -c 0 python benchmarks/record_order.py

Goal: 10 ms on one core for 32,768 rows of two sources. CPU time of one thread, median over steps;
no step knows anything of another, so any step costs the same. Put this repository on PYTHONPATH.
"""

import argparse
import statistics
import time

import environment
import numpy as np

from kgclip_jax.data.order import Mixture

SOURCES = {"web": (400_000_000, 0.9), "captioned": (3_000_000, 0.1)}  # records, weight


def measure(rows: int, steps: int) -> list[float]:
    """Return CPU seconds of each of some steps far apart."""
    lengths, weights = zip(*SOURCES.values(), strict=True)
    mixture = Mixture(lengths, weights, list(SOURCES), rows, seed=0, stream="captions")
    all_rows, seconds = np.arange(rows), []
    for step in range(steps + 1):
        began = time.thread_time()
        mixture.draws(step * 1_000, all_rows)
        seconds.append(time.thread_time() - began)
    return seconds[1:]


def main() -> None:
    """Print a line for each number of rows."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[256, 2048, 32768])
    parser.add_argument("--steps", type=int, default=101)
    flags = parser.parse_args()
    print(environment.describe(["numpy"]))
    for rows in flags.rows:
        milliseconds = [1e3 * seconds for seconds in measure(rows, flags.steps)]
        print(
            f"{rows:,} rows of {len(SOURCES)} sources: median "
            f"{statistics.median(milliseconds):.2f} ms "
            f"({min(milliseconds):.2f} - {max(milliseconds):.2f})"
        )


if __name__ == "__main__":
    main()
