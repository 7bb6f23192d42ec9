"""The README.md of an exported folder: what the model is, how it was made, how well it does."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from kgclip_jax.convert.family import Format
from kgclip_jax.convert.front_matter import UNKNOWN_LICENSE, check_license, front_matter
from kgclip_jax.convert.hub import is_hub_id
from kgclip_jax.convert.knowledge_card import section
from kgclip_jax.evaluation.result import Result, from_json, grouped, metric_label, percent
from kgclip_jax.knowledge.parsing.parser import MODEL
from kgclip_jax.models import spec

_CREDITS = {
    "emoji": "drawings: Noto Emoji by Google (Apache-2.0) and Twemoji by Twitter and contributors "
    "(CC-BY 4.0); names: Unicode CLDR",
}


@dataclass(frozen=True)
class Card:
    """What is known of a model beside its weights.

    Attributes:
        name: of the model.
        step: training steps behind it.
        config: the run's `config.json`.
        evaluation: the run's `evaluation.json`, or None.
        averaged: whether the weights are the moving average over the steps.
        mixed_with: (source, alpha) when they are (1 - alpha) source + alpha trained, or None.
        license: of the weights: an identifier of the Hugging Face hub, such as "apache-2.0".

    Raises:
        ConfigError: the licence cannot be one of the hub's.
    """

    name: str
    step: int
    config: Mapping[str, Any]
    evaluation: Mapping[str, Any] | None = None
    averaged: bool = False
    mixed_with: tuple[str, float] | None = None
    license: str = UNKNOWN_LICENSE

    def __post_init__(self) -> None:
        check_license(self.license)

    @property
    def sources(self) -> Mapping[str, Mapping[str, Any]]:
        """Settings of the sources of training pairs, by name."""
        return self.config.get("data", {}).get("sources", {})

    @property
    def parser(self) -> str | None:
        """The pipeline that parsed captions of training; None where all graphs were exact."""
        parsed = any(source["kind"] != "emoji" for source in self.sources.values())
        return self.config["data"].get("parser", MODEL) if parsed else None

    @property
    def starting_models(self) -> Sequence[str]:
        """The models that this one was made of, as the config and the command name them."""
        mixed = self.mixed_with and self.mixed_with[0]
        return [*dict.fromkeys(filter(None, (self.config.get("init_from"), mixed)))]

    @property
    def is_evaluated(self) -> bool:
        """Whether `evaluation` is of these weights."""
        if self.evaluation is None or self.mixed_with is not None:
            return False
        return (self.evaluation["step"], self.evaluation["averaged"]) == (self.step, self.averaged)


@dataclass(frozen=True)
class Contents:
    """What the folder holds.

    Attributes:
        format: whose libraries read it.
        shape: the architecture.
        parameters: how many numbers the weights are.
        left_out: parameters that the format cannot hold, by path.
        extra_file: where those are.
        notes: what a user of the tokenizer should know.
    """

    format: Format
    shape: spec.DualEncoder
    parameters: int
    left_out: Sequence[str]
    extra_file: str
    notes: Sequence[str] = ()


def model_card(card: Card, contents: Contents) -> str:
    """Write the card as Markdown.

    Raises:
        DataError: when the evaluation is of another version of this package.
    """
    results = from_json(card.evaluation["results"]) if card.evaluation and card.is_evaluated else []
    encoder = section(card.name, contents.format, contents.shape, contents.extra_file, card.parser)
    sections = [
        f"# {card.name}\n\n{_summary(card, contents)}",
        f"## Use\n\n{_usage(card.name, contents)}",
        *([f"## Knowledge encoder\n\n{encoder}"] if encoder else []),
        f"## Data\n\n{_data(card)}",
        f"## Evaluation\n\n{_evaluation(card, results)}",
        f"## Recipe\n\n{_recipe(card)}",
        f"## Licence\n\n{_licence(card)}",
    ]
    head = front_matter(
        name=card.name,
        license=card.license,
        format=contents.format,
        starting_models=[name for name in map(_hub_id, card.starting_models) if name],
        sources=[source["kind"] for source in card.sources.values()],
        results=results,
    )
    return head + "\n\n".join(sections) + "\n"


def _hub_id(source: str) -> str | None:
    """The name on the hub of a source that is one, and not a folder here."""
    name = source.removeprefix("hf-hub:")
    return name if is_hub_id(name) and not Path(source).exists() else None


def _summary(card: Card, contents: Contents) -> str:
    shape = contents.shape
    vision, text = shape.vision.transformer, shape.text.transformer
    size, patch = shape.vision.image_size, shape.vision.patch_size
    lines = [
        f"A dual encoder of pictures and texts, trained with `kgclip_jax` to step {card.step:,}.",
        "",
        f"- Parameters: {contents.parameters:,}",
        f"- Image tower: {vision.depth} blocks of width {vision.width}; "
        f"pictures of {size} x {size} pixels, patches of {patch} x {patch}",
        f"- Text tower: {text.depth} blocks of width {text.width}; "
        f"up to {shape.text.context_length} tokens",
        f"- Embeddings: {shape.embedding} features",
    ]
    if shape.knowledge is not None:
        lines.append("- Knowledge encoder: adds the scene graph of a text to its embedding, below")
    if source := card.config.get("init_from"):
        lines.append(f"- Training began from `{_public(source)}`")
    if card.averaged:
        lines.append("- The weights are their moving average over the training steps")
    if card.mixed_with is not None:
        source, alpha = card.mixed_with
        lines.append(
            f"- WiSE-FT: {alpha:g} times the trained weights plus {1 - alpha:g} times those of "
            f"`{_public(source)}` (Wortsman et al. 2022)"
        )
    if contents.left_out:
        lines.append(
            f"- This format cannot hold {', '.join(f'`{path}`' for path in contents.left_out)}; "
            f"see `{contents.extra_file}`"
        )
    return "\n".join(lines)


_USAGE = {
    "huggingface": """\
```python
from PIL import Image
from transformers import AutoModel, AutoProcessor

model = AutoModel.from_pretrained("{name}")
processor = AutoProcessor.from_pretrained("{name}")
inputs = processor(
    text=["a dog", "a cat"],
    images=Image.open("picture.jpg"),
    padding="max_length",
    truncation=True,
    return_tensors="pt",
)
probabilities = model(**inputs).logits_per_image.{probability}
```""",
    "open_clip": """\
```python
import open_clip
import torch
from PIL import Image

model, _, preprocess = open_clip.create_model_and_transforms("local-dir:{name}")
tokenizer = open_clip.get_tokenizer("local-dir:{name}")
with torch.no_grad():
    images = model.encode_image(preprocess(Image.open("picture.jpg"))[None], normalize=True)
    texts = model.encode_text(tokenizer(["a dog", "a cat"]), normalize=True)
cosines = images @ texts.T
```""",
    "openai": """\
```python
import clip  # github.com/openai/CLIP
import torch
from PIL import Image

model, preprocess = clip.load("{name}/model.pt", device="cpu")
texts = clip.tokenize(["a dog", "a cat"], context_length={context_length}, truncate=True)
with torch.no_grad():
    images = preprocess(Image.open("picture.jpg"))[None]
    probabilities = model(images, texts)[0].softmax(dim=-1)
```

That loader rounds the weights to half precision; the file holds single precision.""",
}


def _usage(name: str, contents: Contents) -> str:
    has_bias = contents.shape.logit_bias is not None and "logit_bias" not in contents.left_out
    code = _USAGE[contents.format].format(
        name=name,
        probability="sigmoid()" if has_bias else "softmax(dim=-1)",
        context_length=contents.shape.text.context_length,
    )
    return "\n\n".join([code, *contents.notes])


def _data(card: Card) -> str:
    path = card.config.get("data", {}).get("path", ".")
    lines = [_source_line(name, source, path) for name, source in card.sources.items()]
    if models := _named(card.starting_models):
        lines += ["", f"What {models} was trained on before is not known here."]
    return "\n".join(lines)


def _source_line(name: str, source: Mapping[str, Any], path: str) -> str:
    """Which data set, as far as the config tells; where it lay is nobody's business."""
    kind = source["kind"]
    facts = {
        "folder": PurePosixPath(path, source["folder"]).name if "folder" in source else None,
        "file": PurePosixPath(source.get("file", "")).name,
        **{key: source.get(key) for key in ("dataset", "split", "shards")},
    }
    told = [f"{key} `{_public(value)}`" for key, value in facts.items() if value not in (None, "")]
    line = f"- {name} ({', '.join([kind, *told])})"
    return f"{line}; {_CREDITS[kind]}" if kind in _CREDITS else line


def _evaluation(card: Card, results: Sequence[Result]) -> str:
    if card.evaluation is None:
        return "Not evaluated."
    return _table(results) if card.is_evaluated else "These weights were not evaluated."


def _table(results: Sequence[Result]) -> str:
    """Percentages with 95 % bootstrap intervals, chance level and sample size."""
    lines = [
        "Percentages; intervals are 95 % bootstrap intervals. A blind row shows what a scorer "
        "reaches that may not see the other side.",
        "",
        "| set | metric | value | 95 % interval | chance | n |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for task, set_name, rows in grouped(results):
        for row in rows:
            interval = f"{percent(row.low)} - {percent(row.high)}"
            cells = [f"{task}: {set_name}", metric_label(row), percent(row.value), interval]
            cells += [percent(row.chance), f"{row.n:,}"]
            lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return "\n".join(lines)


def _recipe(card: Card) -> str:
    config = json.dumps(_public(card.config), indent=2, ensure_ascii=False)
    return f"The training config, folders shortened to their names:\n\n```json\n{config}\n```"


def _licence(card: Card) -> str:
    stated = card.license
    if stated == UNKNOWN_LICENSE:
        stated = "Whoever trained this model has not stated a licence."
    if models := _named(card.starting_models):
        stated += f"\n\nThe licence of {models} is not known here; it may bind this model too."
    return stated


def _named(models: Sequence[str]) -> str:
    return " and ".join(f"`{_public(model)}`" for model in models)


def _public(value: Any) -> Any:
    """Leave out where things lay on the machine of the training."""
    if isinstance(value, Mapping):
        return {key: _public(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_public(item) for item in value]
    if isinstance(value, str) and value.startswith(("/", "~")):
        return value.rstrip("/").rpartition("/")[2]
    return value
