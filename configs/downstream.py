"""Fine-tune a trained model for a downstream task of Knowledge-CLIP: VQA v2, SNLI-VE or GLUE.

    python launch/train.py --config=configs/downstream.py:vqa,SOURCE --config.data.path=FOLDER
    python launch/train.py --config=configs/downstream.py:snli_ve,SOURCE --config.data.path=FOLDER
    python launch/train.py --config=configs/downstream.py:glue/RTE,SOURCE --config.data.path=FOLDER

SOURCE is as in `configs/finetune.py`: a run, or released weights; one with a knowledge encoder is
refused. FOLDER holds the public files, see docs/data.md:

    vqa        v2_OpenEnded_mscoco_{train2014,val2014}_questions.json,
               v2_mscoco_{train2014,val2014}_annotations.json, train2014/, val2014/
    snli_ve    snli_ve_{train,dev,test}.jsonl, flickr30k_images/
    glue/NAME  a folder a task: CoLA, SST-2, MRPC, QQP, STS-B, MNLI, QNLI, RTE, WNLI

Pan et al. (NeurIPS 2022) fine-tune on these tasks; their settings stand in a supplement that we
could not read, and no number of theirs is reproduced here. As in the paper is that both towers are
trained on, and that what stands beside them learns a hundred times as fast (there in pre-training).
All else is ours: the classifier over pooled embeddings (`kgclip_jax/models/classifier.py`), each
text of a pair read by itself, rows, epochs, the schedule, decay, crops of 90 to 100 %. Losses and
metrics are those of the tasks; every accuracy about pictures has its blind row.

Answers of VQA are the 3,129 most frequent of training; with

    --config.streams.labelled.data.answers_from='("v2_mscoco_train2014_annotations.json",
    "v2_mscoco_val2014_annotations.json")'

and the same for `config.evaluation`, they are those of the field, which counts validation too.
Numbers are of validation (dev) files, SNLI-VE's of test, too: servers keep the answers of others.
The test files of VQA and GLUE cannot be submitted from here.
"""

from typing import NamedTuple

from ml_collections import ConfigDict

from kgclip_jax.errors import ConfigError
from kgclip_jax.loading import settings_of
from kgclip_jax.schema import suggestion


class Task(NamedTuple):
    """The size of a task, and how it is trained."""

    items: int  # of training
    classes: int
    rows: int
    epochs: int
    inputs: int = 2
    form: str = "softmax"
    length: int = 77


TASKS = {
    "vqa": Task(443_757, 3_129, 512, 10, form="sigmoid", length=24),
    "snli_ve": Task(529_527, 3, 256, 5, length=32),
    "glue/CoLA": Task(8_551, 2, 32, 10, inputs=1),
    "glue/SST-2": Task(67_349, 2, 64, 3, inputs=1),
    "glue/MRPC": Task(3_668, 2, 32, 10),
    "glue/QQP": Task(363_846, 2, 128, 3),
    "glue/STS-B": Task(5_749, 1, 32, 10, form="squared"),
    "glue/MNLI": Task(392_702, 3, 128, 3),
    "glue/QNLI": Task(104_743, 2, 64, 3),
    "glue/RTE": Task(2_490, 2, 32, 10),
    "glue/WNLI": Task(635, 2, 32, 10),
}


def get_config(arguments: str) -> ConfigDict:
    """Return the experiment: `--config=configs/downstream.py:TASK,SOURCE`."""
    name, _, source = arguments.partition(",")
    if name not in TASKS or not source:
        raise ConfigError(f"give TASK,SOURCE, not {arguments!r}{suggestion(name, TASKS)}")
    task = TASKS[name]
    config = ConfigDict(settings_of(source))
    config.data.path = "data"
    training, held_out = data_of(name)
    config.streams = dict(labelled=dict(data=training, rows=task.rows, length=task.length))
    config.heads = dict(
        classifier=dict(classes=task.classes, inputs=task.inputs, width=2 * config.model.embedding)
    )
    config.objectives = dict(classification=dict(form=task.form))
    config.evaluation = {
        title: dict(kind="labelled", data=data) for title, data in held_out.items()
    }
    steps = task.epochs * task.items // task.rows
    config.optimizer = dict(
        learning_rate=1e-5,
        schedule=dict(kind="cosine", warmup_steps=steps // 10),
        weight_decay=0.05,
        b2=0.98,
        groups=(dict(pattern="^heads/", learning_rate=100.0),),
    )
    if training["kind"] == "glue":
        for held_out in config.evaluation.values():
            held_out.bad_share = 0.001  # some versions of QQP have a few broken lines
        # There are no pictures.
        config.tuning = dict(vision=dict(kind="frozen"))
    config.total_steps = steps
    return config


def data_of(name: str) -> tuple[dict, dict[str, dict]]:
    """Return the files to train on, and those of each held-out set."""
    if name == "vqa":
        return vqa("train2014"), {"VQA v2 val": vqa("val2014")}
    if name == "snli_ve":
        train, dev, test = (
            dict(kind="snli_ve", file=f"snli_ve_{part}.jsonl") for part in ("train", "dev", "test")
        )
        return train, {"SNLI-VE dev": dev, "SNLI-VE test": test}
    task = name.partition("/")[2]
    splits = ("dev_matched", "dev_mismatched") if task == "MNLI" else ("dev",)
    glue = dict(kind="glue", task=task)
    return dict(glue, split="train"), {f"{task} {s}": dict(glue, split=s) for s in splits}


def vqa(part: str) -> dict:
    """Return the files of a part of VQA v2."""
    return dict(
        kind="vqa",
        questions=f"v2_OpenEnded_mscoco_{part}_questions.json",
        annotations=f"v2_mscoco_{part}_annotations.json",
        images=part,
        answers_from=("v2_mscoco_train2014_annotations.json",),
    )
