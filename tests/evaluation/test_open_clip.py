"""Retrieval and zero-shot numbers are those that open_clip's own functions give.

Cases are those of its own tests/test_retrieval_metrics.py and test_zero_shot_eval.py, commit
89fb801, and more.
"""

import numpy as np
import pytest
import torch

from kgclip_jax.data.evaluation_sets import ZeroShotSet
from kgclip_jax.evaluation.ranking import best_ranks
from kgclip_jax.evaluation.retrieval import recalls
from kgclip_jax.evaluation.zero_shot import class_embeddings, evaluate_zero_shot
from tests.torchvision_operators import make_torchvision_importable

make_torchvision_importable()
from open_clip import build_zero_shot_classifier  # noqa: E402
from open_clip_train.train import get_clip_metrics  # noqa: E402

TEMPLATES = ("a photo of a {}.", "the {}, a {}")


def their_units(count, features):
    generator = torch.Generator().manual_seed(0)
    rows = [torch.randn(count, features, generator=generator) for _ in range(2)]
    return [torch.nn.functional.normalize(x, dim=-1) for x in rows]


@pytest.mark.parametrize(
    ("count", "features", "half"),
    [(11, 7, False), (13, 5, False), (19, 8, False), (17, 9, False), (9, 5, True), (60, 7, False)],
)
def test_recalls_of_pairs_are_those_of_get_clip_metrics(count, features, half):
    images, texts = their_units(count, features)
    if half:
        images, texts = images.half().float(), texts.half().float()
    rows = recalls("pairs", images.numpy(), texts.numpy(), np.arange(count))
    theirs = get_clip_metrics(images, texts, torch.tensor(3.5))
    for row in rows:
        direction, cutoff = row.metric.split(" ")
        assert row.value == theirs[f"{direction.replace('-', '_')}_{cutoff}"]
    assert len(rows) == (6 if count > 10 else 4)  # R@10 of 9 says nothing


def test_equal_scores_are_misses_here_and_as_they_come_there():
    images = np.full((7, 4), 0.5, np.float32)
    theirs = get_clip_metrics(torch.tensor(images), torch.tensor(images), torch.tensor(1.0))
    rows = {row.metric: row.value for row in recalls("ties", images, images, np.arange(7))}
    assert theirs["image_to_text_R@5"] == 5 / 7
    assert rows == dict.fromkeys(rows, 0) != {}


def test_accuracy_counts_as_theirs():
    """Their case: classes are the axes, so that a picture's numbers are its logits."""
    images, right = np.array([[1, 0, 0], [0, 1, 2]], np.float32), np.arange(2)
    ranks = best_ranks(images, np.eye(3, dtype=np.float32), right, np.arange(3))
    assert [np.sum(ranks <= cutoff) for cutoff in (1, 2)] == [1, 2]


class TableModel:
    """open_clip's side of `TableEncoder`: a text's token is its number in a list."""

    def __init__(self, texts):
        self.numbers = {text: number for number, text in enumerate(texts)}
        self.table = torch.tensor(np.stack([*texts.values()]))

    def tokenize(self, texts):
        return torch.tensor([self.numbers[text] for text in texts])

    def encode_text(self, tokens, normalize):
        assert normalize
        return torch.nn.functional.normalize(self.table[tokens], dim=-1)


@pytest.mark.parametrize(
    "names",
    [[f"class {n}" for n in range(12)], ["crane", "ox", "cat", "crane", "owl", "elk", "dog", "ox"]],
    ids=["distinct", "equal"],
)
def test_zero_shot_is_that_of_build_zero_shot_classifier(
    table_encoder, pictures, random_units, names
):
    filled = dict.fromkeys(t.replace("{}", name) for name in names for t in TEMPLATES)
    texts = dict(zip(filled, random_units(1, len(filled), 6), strict=True))
    images, labels = random_units(2, 240, 6), np.arange(240) % len(names)
    encoder = table_encoder(images, texts)
    data = ZeroShotSet("set", pictures(240), labels, names, TEMPLATES)

    model = TableModel(texts)
    templates = [lambda name, t=t: t.replace("{}", name) for t in TEMPLATES]
    classifier = build_zero_shot_classifier(model, model.tokenize, names, templates)
    np.testing.assert_allclose(classifier.T, class_embeddings(encoder, data), atol=1e-6)

    # Equal columns can differ in their last digits with their place in a product, and torch's
    # top-k takes any of two that are equal: put the first of them ahead, as arg-max does.
    logits = 100 * torch.tensor(images).double() @ classifier.double()
    logits -= 1e-9 * torch.arange(len(names))
    # (Its `accuracy` does this, and fails with new versions of NumPy.)
    right = logits.topk(5).indices == torch.tensor(labels)[:, None]
    theirs = [right[:, :cutoff].any(dim=1).double().mean().item() for cutoff in (1, 5)]
    rows = {row.metric: row.value for row in evaluate_zero_shot(encoder, data)}
    assert [rows["top-1"], rows["top-5"]] == theirs
