"""The README.md of an exported folder: what the model is, how it was made, how well it does."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from kgclip_jax.convert.export import EXTRA_FILE, Contents
from kgclip_jax.convert.exported_files import TAG
from kgclip_jax.convert.foreign_models import HUB, RUNS
from kgclip_jax.convert.hub import is_hub_id
from kgclip_jax.errors import ConfigError
from kgclip_jax.evaluation.result import Result, from_json
from kgclip_jax.knowledge.parsing.parser import MODEL
from kgclip_jax.reporting.card_examples import knowledge_example, usage_example
from kgclip_jax.reporting.tables import results_table, to_markdown

UNKNOWN_LICENSE = "unknown"
_LIBRARIES = {"huggingface": "transformers", "open_clip": "open_clip"}
_TASKS = {
    "retrieval": "image-text-retrieval",
    "zero-shot": "zero-shot-image-classification",
    "linear probe": "image-classification",
    "composition": "image-text-matching",
}
_DATASETS = {"visual_genome": "ranjaykrishna/visual_genome"}  # on the hub, by kind of source
_CREDITS = {
    "emoji": "drawings: Noto Emoji by Google (Apache-2.0) and Twemoji by Twitter and contributors "
    "(CC-BY 4.0); names: Unicode CLDR",
}
_BLIND = "A blind row shows what is reached when each item has the pictures of another one."
_NO_PATHS = {"pattern", "targets", "dataset"}  # settings whose slashes lead to no folder
_MODELS = {"init_from", "knowledge_init_from"}


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
        if re.fullmatch(r"[a-z0-9]+([.+-]+[a-z0-9]+)*\+*", self.license) is None:
            raise ConfigError(
                f"{self.license!r} is no licence of the Hugging Face hub; those are written like "
                "apache-2.0, mit, cc-by-4.0 or other"
            )

    @property
    def sources(self) -> Mapping[str, Mapping[str, Any]]:
        """Settings of the sources of training pairs, by name."""
        streams = self.config.get("streams", {}).values()
        return {k: v for stream in streams for k, v in stream.get("sources", {}).items()}

    @property
    def parser(self) -> str | None:
        """The pipeline that parsed captions of training; None where all graphs were exact."""
        parsed = any(source["kind"] != "emoji" for source in self.sources.values())
        return self.config.get("data", {}).get("parser", MODEL) if parsed else None

    @property
    def starting_models(self) -> Sequence[str]:
        """The models that this one was made of, as the config and the command name them."""
        mixed = self.mixed_with and self.mixed_with[0]
        return [*dict.fromkeys(filter(None, (self.config.get("init_from"), mixed)))]

    def results(self) -> list[Result]:
        """Return the rows of the evaluation that are of these weights.

        Raises:
            DataError: the evaluation is of another version of this package.
        """
        found = self.evaluation
        if found is None or self.mixed_with is not None or found["step"] != self.step:
            return []
        weights = "average" if self.averaged else "raw"
        return [row for row in from_json(found["results"]) if row.weights == weights]


def model_card(card: Card, contents: Contents) -> str:
    """Write the card as Markdown, with what machines read of it at its top.

    Raises:
        DataError: when the evaluation is of another version of this package.
    """
    results = card.results()
    encoder = knowledge_example(card.name, contents, card.parser and _last_part(card.parser))
    sections = {
        "Use": "\n\n".join([usage_example(card.name, contents), *contents.notes]),
        **({"Knowledge encoder": encoder} if encoder else {}),
        "Data": _data(card),
        "Evaluation": f"{_BLIND}\n\n{to_markdown(results_table(results))}"
        if results
        else "These weights were not evaluated.",
        "Recipe": "The training config, folders shortened to their names:\n\n```json\n"
        f"{json.dumps(public(card.config), indent=2, ensure_ascii=False)}\n```",
        "Licence": _licence(card),
    }
    text = "\n\n".join(f"## {title}\n\n{section}" for title, section in sections.items())
    head = _metadata(card, contents, results).to_yaml()
    written = f"---\n{head}\n---\n\n# {card.name}\n\n{_summary(card, contents)}\n\n{text}\n"
    return str(ModelCard(written))


def _metadata(card: Card, contents: Contents, results: Sequence[Result]) -> ModelCardData:
    """What machines read; the hub has no place for blind rows, intervals and chance."""
    rows = [
        EvalResult(
            task_type=_TASKS.get(row.task, row.task),
            dataset_type=re.sub(r"\W+", "-", row.set_name.lower()).strip("-") or "held-out",
            dataset_name=row.set_name,
            metric_type="recall" if " R@" in row.metric else "accuracy",
            metric_name=row.metric,
            metric_value=round(row.value, 4),
        )
        for row in results
        if not row.blind
    ]
    kinds = {source["kind"] for source in card.sources.values()}
    return ModelCardData(
        license=card.license,
        tags=["clip", TAG],
        pipeline_tag="zero-shot-image-classification",
        library_name=_LIBRARIES.get(contents.format),
        base_model=_repositories(card.starting_models) or None,
        datasets=sorted(_DATASETS[kind] for kind in kinds & {*_DATASETS}) or None,
        metrics=sorted({row.metric_type for row in rows}) or None,
        model_name=card.name if rows else None,
        eval_results=rows or None,
    )


def _summary(card: Card, contents: Contents) -> str:
    shape = contents.shape
    vision, text = shape.vision.transformer, shape.text.transformer
    size, patch = shape.vision.image_size, shape.vision.patch_size
    lines = [
        f"A dual encoder of pictures and texts, trained with `kgclip_jax` to step {card.step:,}.\n",
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
        lines.append(f"- Training began from `{_model_name(source)}`")
    if card.averaged:
        lines.append("- The weights are their moving average over the training steps")
    if card.mixed_with is not None:
        source, alpha = card.mixed_with
        lines.append(
            f"- WiSE-FT: {alpha:g} times the trained weights plus {1 - alpha:g} times those of "
            f"`{_model_name(source)}` (Wortsman et al. 2022)"
        )
    if contents.left_out:
        paths = ", ".join(f"`{path}`" for path in contents.left_out)
        lines.append(f"- This format cannot hold {paths}; see `{EXTRA_FILE}`")
    return "\n".join(lines)


def _data(card: Card) -> str:
    lines = [_source_line(name, source, card) for name, source in card.sources.items()]
    if models := _named(card.starting_models):
        lines += ["", f"What {models} was trained on before is not known here."]
    return "\n".join(lines)


def _source_line(name: str, source: Mapping[str, Any], card: Card) -> str:
    """Which data set, as far as the config tells; where it lay is nobody's business."""
    told = public({k: source.get(k) for k in ("folder", "file", "dataset", "split", "shards")})
    if told["folder"] == ".":
        told["folder"] = public(card.config.get("data", {}).get("path", "."))
    facts = [f"{key} `{value}`" for key, value in told.items() if value not in (None, "", ".")]
    credit = f"; {_CREDITS[source['kind']]}" if source["kind"] in _CREDITS else ""
    return f"- {name} ({', '.join([source['kind'], *facts])}){credit}"


def _licence(card: Card) -> str:
    stated = card.license
    if stated == UNKNOWN_LICENSE:
        stated = "Whoever trained this model has not stated a licence."
    if models := _named(card.starting_models):
        stated += f"\n\nThe licence of {models} is not known here; it may bind this model too."
    return stated


def _named(models: Sequence[str]) -> str:
    return " and ".join(f"`{_model_name(model)}`" for model in models)


def _model_name(source: str) -> str:
    return _hub_id(source) or _last_part(source)


def _hub_id(source: str) -> str | None:
    """The name on the hub of a source that is one, and not a folder, which may be gone."""
    name = source.removeprefix(HUB)
    is_path = Path(source).exists() or source.startswith(RUNS)
    return name if is_hub_id(name) and not is_path else None


def _repositories(sources: Sequence[str]) -> list[str]:
    """The names on the hub of those that are there, without revisions."""
    names = (name.partition("@")[0] for name in map(_hub_id, sources) if name)
    return [*dict.fromkeys(names)]


def public(value: Any, key: str = "") -> Any:
    """Shorten every path in nested settings to its last part: where things lay is private.

    Whatever has a slash counts as a path, unless `key` says that it cannot be one.
    """
    if isinstance(value, Mapping):
        return {name: public(item, name) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [public(item, key) for item in value]
    if not isinstance(value, str) or key in _NO_PATHS:
        return value
    return _model_name(value) if key in _MODELS else _last_part(value)


def _last_part(path: str) -> str:
    """The name of the file or folder that a path, as the user wrote it, leads to."""
    return re.split(r"[/\\]", path.removeprefix("local-dir:").rstrip("/\\"))[-1]
