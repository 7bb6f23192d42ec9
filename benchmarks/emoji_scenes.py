"""Emoji scenes per second: scene, caption and picture, in one thread.

    taskset -c 0 python benchmarks/emoji_scenes.py

Goal: at least 2,000 scenes a second and core at 64 pixels. CPU time, so other load matters little;
the first round, which fills the sprite caches, is not counted.
"""

import argparse
import statistics
import time
from collections.abc import Iterator

import environment

from kgclip_jax.data.emoji import EmojiScenes, EmojiWorld
from kgclip_jax.random import generator


def rates(source: EmojiScenes, scenes: int, rounds: int) -> Iterator[float]:
    """Yield scenes per second of each round after the first; every round draws new scenes."""
    for number in range(rounds + 1):
        began = time.process_time()
        for index in range(number * scenes, (number + 1) * scenes):
            source.caption(index, generator(0, "caption", index))
            source.image(index, generator(0, "augment", index))
        if number:
            yield scenes / (time.process_time() - began)


def main() -> None:
    """Print a line for each size of picture and number of things."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--scenes", type=int, default=2000, help="in a round")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    print(environment.describe(["numpy", "pillow"]))
    for size in (32, 64):
        for most in (2, 4):
            world = EmojiWorld(max_objects=most, scenes=10**6)
            measured = list(rates(EmojiScenes(world, size), arguments.scenes, arguments.rounds))
            print(
                f"{size} px, 1-{most} things: median {statistics.median(measured):,.0f} scenes/s "
                f"({min(measured):,.0f} - {max(measured):,.0f})"
            )


if __name__ == "__main__":
    main()
