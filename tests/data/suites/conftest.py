"""Suites whose scores are written down: pictures are numbers, texts are rows of scores."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kgclip_jax.data.lazy_pictures import EvaluationTransform
from kgclip_jax.data.suites.benchmarks import CompositionSuite
from kgclip_jax.evaluation.choice import evaluate_choices
from kgclip_jax.evaluation.result import Result

SIZE = 4


class ScoreEncoder:
    """Scores picture n (by its colour) and a text by entry n of the text's vector."""

    def __init__(self, scores):
        self.scores = {text: np.asarray(row, np.float32) for text, row in scores.items()}
        self.pictures = 0
        self.texts: list[str] = []

    def encode_image(self, images):
        self.pictures += len(images)
        numbers = images[:, SIZE // 2, SIZE // 2, 0].astype(int) // 10
        return np.eye(len(next(iter(self.scores.values()))), dtype=np.float32)[numbers]

    def encode_text(self, texts):
        self.texts.extend(texts)
        return np.stack([self.scores[text] for text in texts])


def paint(folder: Path, file: str, *numbers: int) -> None:
    """Write a picture that shows numbers side by side, 10 pixels each, without loss."""
    pixels = np.zeros((10, 10 * len(numbers), 3), np.uint8)
    pixels[..., 0] = np.repeat(numbers, 10) * 10
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(folder / file, format="PNG")


class World:
    """A folder with a suite in it: `annotations` and pictures in `images`."""

    def __init__(self, root: Path):
        self.root = root
        self.images = root / "images"
        self.images.mkdir()

    def paint(self, file: str, *numbers: int) -> None:
        paint(self.images, file, *numbers)

    def write(self, file: str, content: object) -> None:
        path = self.root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))

    def write_lines(self, file: str, records: list) -> None:
        (self.root / file).write_text("".join(json.dumps(record) + "\n" for record in records))

    def open(self, kind: str, annotations: str, bad_share: float = 0.0):
        settings = CompositionSuite(
            kind=kind, annotations=annotations, images="images", bad_share=bad_share
        )
        return settings.open(kind, self.root, EvaluationTransform(SIZE))


@pytest.fixture
def world(tmp_path) -> World:
    return World(tmp_path)


@pytest.fixture
def score() -> type[ScoreEncoder]:
    return ScoreEncoder


@pytest.fixture
def answers() -> Callable[..., dict[str, Result]]:
    """Evaluate a suite; rows by metric, blind ones with ", blind" behind."""

    def evaluate(data, scores):
        rows = evaluate_choices(ScoreEncoder(scores), data)
        return {row.metric + ", blind" * row.blind: row for row in rows}

    return evaluate
