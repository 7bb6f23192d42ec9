"""Train Knowledge-CLIP (arXiv 2412.03513): a language model teaches the text tower of a CLIP.

    pip install -r requirements-teach.txt
    python launch/prepare.py embed --teacher=meta-llama/Llama-2-7b-hf --source=karpathy:coco \
        --set=file=coco/dataset_coco.json --output=coco/llama
    python launch/prepare.py concepts --embeddings=coco/llama --output=coco/concepts
    python launch/train.py --config=configs/kd_clip.py:SOURCE,$PWD/coco/llama,$PWD/coco/concepts \
        --config.data.path=coco

SOURCE is a released CLIP: a Hugging Face folder or hub id, an open_clip folder, OpenAI's own file,
or a run of this library. coco is as in `configs/structure_clip.py`. Any language model will do as a
teacher; `--teacher=minilm` needs no network. The arguments are

    :SOURCE,EMBEDDINGS,CONCEPTS    as published; both are absolute paths
    :SOURCE,EMBEDDINGS             without concepts
    :SOURCE,plain                  the contrastive loss alone: plain fine-tuning, to compare with,
                                   on the same pictures, captions and steps

As in the paper:

    losses            squared distance between a linear map of the student's text embedding and the
                      teacher's, weight 1; soft concepts told by both towers, 0.01; contrastive, 1
    rate              5e-5
    teacher           Llama 2

What the paper does not say, or we could not find, is our choice:

    weights           that 0.01 belongs to the concepts: the text gives 1, 0.01 and 1 without names
    embeddings        each number standardised, and the distance divided by their number, so that it
                      begins near 1 for any teacher; the last token's state of the last layer
    concepts          1,000 clusters of embeddings of unit length, soft labels at a temperature of
                      0.1; one linear head for both towers, on embeddings of unit length
    optimizer         AdamW, b1 0.9, b2 0.98, eps 1e-6, decay 0.1; 1 % warm-up, cosine
    batch             256
    length            five epochs; the paper trains 100, at a rate at which most is forgotten

What is not as in the paper: COCO in place of 500,000 pairs of CC15M and YFCC15M; those are
`streams.captions.sources` of kind `webdataset`.

No numbers of ours: no released weights were at hand.
"""

from pathlib import Path

from ml_collections import ConfigDict

from kgclip_jax.data.embedded_texts import read_contents
from kgclip_jax.data.text_concepts import read_concept_contents
from kgclip_jax.errors import ConfigError
from kgclip_jax.loading import settings_of

PAIRS, EPOCHS, BATCH_SIZE = 113_287, 5, 256


def get_config(arguments: str) -> ConfigDict:
    """Return the experiment: `--config=configs/kd_clip.py:SOURCE,EMBEDDINGS[,CONCEPTS]`."""
    source, *folders = arguments.split(",")
    if not source or not 1 <= len(folders) <= 2 or not all(folders):
        raise ConfigError("give SOURCE,plain or SOURCE,EMBEDDINGS or SOURCE,EMBEDDINGS,CONCEPTS")
    config = ConfigDict(settings_of(source))
    config.data.path = "data/coco"
    karpathy = dict(kind="karpathy", file="dataset_coco.json")
    coco = dict(karpathy, split="train", crop_scale=(0.9, 1.0))
    config.evaluation = {
        "COCO test": dict(kind="retrieval", source=dict(karpathy, split="test"), folds=5)
    }
    config.streams = dict(captions=dict(sources=dict(coco=coco), rows=BATCH_SIZE))
    form = "softmax" if config.model.logit_bias is None else "sigmoid"
    config.objectives = dict(contrastive=dict(form=form))
    if folders != ["plain"]:
        _add_teacher(config, *folders)
    steps = EPOCHS * PAIRS // BATCH_SIZE
    config.optimizer = dict(
        learning_rate=5e-5,
        weight_decay=0.1,
        schedule=dict(kind="cosine", warmup_steps=steps // 100),
    )
    config.total_steps = steps
    return config


def _add_teacher(config: ConfigDict, embeddings: str, concepts: str | None = None) -> None:
    """What a language model makes of captions, and perhaps the clusters of that."""
    tables = dict(teacher=dict(kind="embeddings", folder=embeddings, standardised=True))
    width = read_contents(Path(embeddings).absolute()).width
    config.heads = dict(teacher_map=dict(kind="linear", width=width))
    config.objectives.text_distillation = dict(mean=True)
    if concepts is not None:
        tables["concepts"] = dict(folder=concepts)
        clusters = read_concept_contents(Path(concepts).absolute()).clusters
        config.heads.concept_map = dict(kind="linear", width=clusters)
        config.objectives.concepts = dict(weight=0.01)
    config.streams.captions.tables = tables
