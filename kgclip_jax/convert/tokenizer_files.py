"""Tokenizer files of Hugging Face and open_clip folders, to and from our settings.

CLIP's own vocabulary is always read as `ClipBpe`, which cleans texts as OpenAI and open_clip do.
transformers' `CLIPTokenizer` neither mends broken encodings nor resolves HTML entities, so ids of
such texts differ from its; those of all others are the same up to the end of text, after which it
pads with 49407 and open_clip with 0.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from kgclip_jax.convert.foreign_config import reading, section
from kgclip_jax.convert.tokenizer_json import clip_content, is_clip, token_ids
from kgclip_jax.data.tokenization.cleaning import Clean, with_normalizers
from kgclip_jax.data.tokenization.clip_vocabulary import SPECIAL_TOKENS, clip_vocabulary
from kgclip_jax.data.tokenization.json_tokenizer import (
    JsonTokenizer,
    check_tokenizer,
    read_tokenizer_json,
    with_specials_as_text,
)
from kgclip_jax.data.tokenization.tokenizer_config import (
    ClipBpe,
    TokenizerJson,
    TokenizerSettings,
    make_tokenizer,
)
from kgclip_jax.errors import ConversionError
from kgclip_jax.files import read_json_object, read_text, write_atomically, write_json

Format = Literal["huggingface", "open_clip"]

TOKENIZER_JSON = "tokenizer.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
OPEN_CLIP_CONFIG = "open_clip_config.json"
SENTENCEPIECE = "spiece.model"

# What transformers' classes do beyond the file.
_RULES_OF_CLASSES: dict[str, Clean] = {
    "SiglipTokenizer": "canonicalize",
    "Siglip2Tokenizer": "lower",
    "GemmaTokenizer": "lower",  # the class leaves case alone, but SigLIP 2 was trained on lower
}
_RULES_OF_OPEN_CLIP: dict[str, Clean] = {
    "whitespace": "open_clip_whitespace",
    "lower": "open_clip_lower",
    "canonicalize": "open_clip_canonicalize",
}
_SPECIALS_AS_TEXT = {"split_special_tokens": True}
"""What transformers is told: special tokens that a text spells out are text."""

_SAVE = (
    "save a tokenizer.json there by transformers' "
    "AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)"
)
_MEND = (
    "Texts with broken encodings or HTML entities: call `ftfy.fix_text` and then, twice, "
    "`html.unescape` before the tokenizer, as was done in training."
)
_DO_NOT_MEND = (
    "Texts with broken encodings or HTML entities: open_clip mends them before the tokenizer, "
    "which was not done in training."
)
_HUB_NAME = (
    "Before uploading, set `text_cfg.hf_tokenizer_name` in `open_clip_config.json` to the name of "
    "the repository; a local folder needs no change."
)


class TokenizerFiles(NamedTuple):
    """What else has to be written with a tokenizer's files.

    Attributes:
        text_cfg: keys for `model_cfg.text_cfg` of `open_clip_config.json`.
        notes: sentences for the model card: what a user should know or do.
    """

    text_cfg: dict[str, Any]
    notes: tuple[str, ...]


def read_tokenizer(folder: str | Path) -> TokenizerSettings | None:
    """Find out which tokenizer a model folder has; None if it says nothing about one.

    `open_clip_config.json` decides where there is one, as it does in open_clip.

    Raises:
        ConversionError: the tokenizer does something that ours cannot; the message names it.
        DataError: a file of the tokenizer is malformed.
    """
    folder = Path(folder)
    if (folder / OPEN_CLIP_CONFIG).is_file():
        return _read_open_clip(folder)
    if (folder / TOKENIZER_JSON).is_file() or (folder / SENTENCEPIECE).is_file():
        return _read_huggingface(folder)
    if (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
        lines = read_text(folder / "merges.txt", ConversionError).split("\n")
        merges = [line for line in lines if line and not line.startswith("#version")]
        if is_clip({"model": {"vocab": _read(folder / "vocab.json"), "merges": merges}}):
            return ClipBpe()
        raise ConversionError(f"{folder}: vocab.json and merges.txt are not CLIP's own; {_SAVE}")
    return None


def write_tokenizer(
    settings: TokenizerSettings, folder: str | Path, format: Format, context_length: int
) -> TokenizerFiles:
    """Write the files from which transformers or open_clip make the same token ids.

    Raises:
        ConversionError: the format cannot hold the tokenizer; the message says what it lacks.
    """
    if isinstance(settings, ClipBpe):
        _write_clip(Path(folder), context_length)
        return TokenizerFiles({}, (_MEND,) if format == "huggingface" else ())
    if format == "huggingface":
        return _write_huggingface(settings, Path(folder), context_length)
    return _write_open_clip(settings, Path(folder), context_length)


def _read_open_clip(folder: Path) -> TokenizerSettings:
    where = f"{folder / OPEN_CLIP_CONFIG}: text_cfg"
    config = _read(folder / OPEN_CLIP_CONFIG)
    with reading(str(folder / OPEN_CLIP_CONFIG)):
        model = section(config, "model_cfg") if "model_cfg" in config else config
        text = section(model, "text_cfg")
        options = dict(section(text, "tokenizer_kwargs"))
    own = not text.get("hf_tokenizer_name")
    cleaning = options.pop("clean", "lower" if own else "whitespace")
    strip_sep_token = not own and bool(options.pop("strip_sep_token", False))
    if options or text.get("tokenizer_mode"):
        names = [*options, *(["tokenizer_mode"] if text.get("tokenizer_mode") else [])]
        raise ConversionError(f"{where}: tokenizer options not supported: {', '.join(names)}")
    if cleaning not in (["lower"] if own else [*_RULES_OF_OPEN_CLIP]):
        raise ConversionError(f"{where}.tokenizer_kwargs.clean {cleaning!r} is not supported")
    if own:
        return ClipBpe()
    if not (folder / TOKENIZER_JSON).is_file():
        raise ConversionError(
            f"{folder} has no tokenizer.json; put the one of {text['hf_tokenizer_name']!r} there, "
            "with its tokenizer_config.json"
        )
    return _read_json(folder, _RULES_OF_OPEN_CLIP[cleaning], strip_sep_token)


def _read_huggingface(folder: Path) -> TokenizerSettings:
    config = _tokenizer_config(folder)
    model_type = str(_read(folder / "config.json", optional=True).get("model_type"))
    default = "SiglipTokenizer" if model_type.startswith("siglip") else ""
    name = str(config.get("tokenizer_class") or default).removesuffix("Fast")
    if name == "SiglipTokenizer" and config.get("do_lower_case") is False:
        raise ConversionError(f"{folder / TOKENIZER_CONFIG}: do_lower_case false is not supported")
    return _read_json(folder, _RULES_OF_CLASSES.get(name, "none"))


def _read_json(folder: Path, rule: Clean, strip_sep_token: bool = False) -> TokenizerSettings:
    """Describe the `tokenizer.json` or SentencePiece model of a folder."""
    file = folder / TOKENIZER_JSON
    file = file if file.is_file() else folder / SENTENCEPIECE
    content, config = read_tokenizer_json(file), _tokenizer_config(folder)
    check_tokenizer(content, file)  # so that what is asked for below is there
    if is_clip(content):
        return ClipBpe()
    if config.get("padding_side", "right") != "right":
        raise ConversionError(f"{folder / TOKENIZER_CONFIG}: padding_side must be 'right'")

    def token(key: str, default: str = "") -> int:
        value = config.get(key) or default
        name, ids = (
            value.get("content") if isinstance(value, Mapping) else value,
            token_ids(content),
        )
        if not isinstance(name, str) or name not in ids:
            raise ConversionError(
                f"{folder / TOKENIZER_CONFIG}: {key} {name!r} is no token of {file.name}"
            )
        return ids[name]

    settings = TokenizerJson(
        kind="json",
        file=str(file.resolve()),
        pad_id=token("pad_token", "</s>" if rule == "canonicalize" else ""),
        clean=rule,
        zeroed_id=token("sep_token") if strip_sep_token else None,
    )
    _check_template(settings, config, folder)
    return settings


def _check_template(settings: TokenizerJson, config: Mapping[str, Any], folder: Path) -> None:
    """Refuse a folder that asks for an end of text which its tokenizer.json does not add."""
    plain = JsonTokenizer.open(settings.file, 64, pad_id=settings.pad_id)
    if config.get("add_eos_token") and plain.end_id is None:
        raise ConversionError(
            f"{folder / TOKENIZER_CONFIG}: add_eos_token is true, but {TOKENIZER_JSON} adds none; "
            f"{_SAVE}"
        )


def _write_clip(folder: Path, context_length: int) -> None:
    vocabulary = clip_vocabulary()
    start, end = SPECIAL_TOKENS
    merges = "\n".join(["#version: 0.2", *map(" ".join, vocabulary.merges), ""])
    write_atomically(folder / "merges.txt", merges)
    write_json(folder / "vocab.json", vocabulary.ids)
    write_json(folder / TOKENIZER_JSON, clip_content(vocabulary))
    specials = {"bos_token": start, "eos_token": end, "unk_token": end, "pad_token": end}
    config = {"tokenizer_class": "CLIPTokenizer", **specials, "model_max_length": context_length}
    write_json(folder / TOKENIZER_CONFIG, config | _SPECIALS_AS_TEXT)


def _write_huggingface(
    settings: TokenizerJson, folder: Path, context_length: int
) -> TokenizerFiles:
    if settings.zeroed_id is not None:
        raise ConversionError(
            f"transformers' tokenizers cannot turn token {settings.zeroed_id} into 0 (zeroed_id)"
        )
    _write_json(settings, settings.clean, folder, context_length)
    return TokenizerFiles({}, (_MEND,) if settings.clean.startswith("open_clip") else ())


def _write_open_clip(settings: TokenizerJson, folder: Path, context_length: int) -> TokenizerFiles:
    """Leave cleaning to open_clip where the rule is its own; others go into the tokenizer.json."""
    names = {rule: name for name, rule in _RULES_OF_OPEN_CLIP.items()}
    own = settings.clean in names
    _write_json(settings, "none" if own else settings.clean, folder, context_length)
    options: dict[str, Any] = {"clean": names.get(settings.clean, "whitespace")}
    if settings.zeroed_id is not None:
        options["strip_sep_token"] = True
    text = {"hf_tokenizer_name": "this-repository", "tokenizer_kwargs": options}
    return TokenizerFiles(text, (_HUB_NAME,) if own else (_HUB_NAME, _DO_NOT_MEND))


def _write_json(settings: TokenizerJson, rule: Clean, folder: Path, context_length: int) -> None:
    """Write `tokenizer.json` with a cleaning rule in it, and `tokenizer_config.json`."""
    content = read_tokenizer_json(settings.file)
    content = with_specials_as_text(content, settings.file, settings.pad_id)
    names = {token: name for name, token in token_ids(content).items()}
    pad, end_id = names[settings.pad_id], make_tokenizer(settings, context_length).end_id
    if pad not in [added["content"] for added in content.get("added_tokens", [])]:
        raise ConversionError(
            f"{settings.file}: pad_id {settings.pad_id} is {pad!r}, an ordinary piece of text, "
            "which transformers cannot pad with"
        )
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": context_length,
        "pad_token": pad,
        "padding_side": "right",
        "truncation_side": "right",
        "clean_up_tokenization_spaces": False,
        "model_input_names": ["input_ids"],  # padding was not masked in training
        **_SPECIALS_AS_TEXT,
    }
    if end_id is not None:
        config["eos_token"] = names[end_id]
    if settings.zeroed_id is not None:
        config["sep_token"] = names[settings.zeroed_id]
    write_json(folder / TOKENIZER_JSON, with_normalizers(content, rule))
    write_json(folder / TOKENIZER_CONFIG, config)


def _tokenizer_config(folder: Path) -> dict[str, Any]:
    """Return what is known beside the tokenizer.json; older folders spread it over two files."""
    older = _read(folder / "special_tokens_map.json", optional=True)
    return older | _read(folder / TOKENIZER_CONFIG, optional=True)


def _read(path: Path, optional: bool = False) -> dict[str, Any]:
    if optional and not path.is_file():
        return {}
    return read_json_object(path, ConversionError)
