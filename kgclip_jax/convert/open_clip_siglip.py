"""SigLIP and SigLIP 2 in open_clip: vision towers of timm, text towers of open_clip.

timm knows a vision tower by its name alone. Several of them compute the exact GELU where the
originals have its tanh approximation; a description says what the library computes.
"""

from dataclasses import asdict, dataclass
from typing import Literal, NamedTuple

from kgclip_jax.convert import open_clip_config
from kgclip_jax.convert.clip_layouts import SIGLIP_VISION
from kgclip_jax.convert.family import Family, Files, canonical, refuse_what_is_lost
from kgclip_jax.convert.foreign_config import reading
from kgclip_jax.convert.open_clip_config import TextCfg
from kgclip_jax.convert.open_clip_rules import TEXT_PARTS, temperature_rules, text_rules
from kgclip_jax.convert.rules import Rule, linear, norm, packed, same
from kgclip_jax.convert.transforms import patches, reshape
from kgclip_jax.models import spec
from kgclip_jax.schema import check, suggestion


class Trunk(NamedTuple):
    """A vision tower of timm."""

    transformer: spec.Transformer
    patch_size: int
    image_size: int


_SIZES = {  # width, depth, heads, mlp_width
    "base": (768, 12, 12, 3072),
    "large": (1024, 24, 16, 4096),
    "so400m": (1152, 27, 16, 4304),
    "giantopt": (1536, 40, 16, 6144),
}
_PUBLISHED: dict[spec.Activation, dict[str, tuple[int, ...]]] = {  # image sizes by activation
    "gelu_erf": {
        "base_patch16": (224, 256, 384, 512),
        "large_patch16": (256, 384),
        "so400m_patch14": (224, 378, 384),
    },
    "gelu_tanh": {
        "base_patch32": (256,),
        "large_patch16": (512,),
        "so400m_patch16": (256, 384, 512),
        "giantopt_patch16": (256, 384),
    },
}


def _published() -> dict[str, Trunk]:
    trunks = {}
    for activation, stems in _PUBLISHED.items():
        for stem, image_sizes in stems.items():
            size, patch = stem.split("_patch")
            transformer = spec.Transformer(*_SIZES[size], activation, norm_eps=1e-6)
            for image_size in image_sizes:
                trunks[f"vit_{stem}_siglip_{image_size}"] = Trunk(
                    transformer, int(patch), image_size
                )
    return trunks


TRUNKS = _published()


@dataclass(frozen=True)
class VisionCfg:
    """Settings of the vision tower. Attributes: as in open_clip."""

    timm_model_name: str
    image_size: int = 224
    timm_pool: Literal["map"] = "map"
    timm_proj: Literal["none"] = "none"

    def trunk(self) -> Trunk:
        """The tower. Raises ValueError for an unknown one, or one of another image size."""
        name = self.timm_model_name
        check(name in TRUNKS, f"timm_model_name {name!r} is not known{suggestion(name, TRUNKS)}")
        trunk = TRUNKS[name]
        check(
            trunk.image_size == self.image_size,
            f"{name} takes pictures of {trunk.image_size} pixels, not {self.image_size}",
        )
        return trunk


@dataclass(frozen=True)
class Model:
    """Settings of both towers; `quick_gelu` is the text's alone. Attributes: as in open_clip."""

    embed_dim: int
    vision_cfg: VisionCfg
    text_cfg: TextCfg
    quick_gelu: bool = False
    init_logit_bias: float | None = None


def describe(files: Files) -> spec.DualEncoder:
    """Return the architecture that a folder's JSON files describe."""
    with reading(open_clip_config.FILE):
        model = open_clip_config.parse(Model, files)
        trunk = model.vision_cfg.trunk()
        shape = spec.DualEncoder(
            vision=spec.Vision(
                trunk.transformer,
                image_size=trunk.image_size,
                patch_size=trunk.patch_size,
                **SIGLIP_VISION,
                **open_clip_config.preprocessing(files),
            ),
            text=model.text_cfg.text(quick_gelu=model.quick_gelu),
            embedding=model.embed_dim,
            initial_values="siglip",
            **open_clip_config.temperature(model.init_logit_bias),
        )
    return canonical(shape)


def files(shape: spec.DualEncoder) -> Files:
    """Return the JSON files of a folder, the tokenizer's excepted."""
    name = _nearest(shape.vision)
    trunk = TRUNKS[name]
    written = open_clip_config.config(
        shape,
        vision_cfg={
            "image_size": trunk.image_size,
            "timm_model_name": name,
            "timm_model_pretrained": False,
            "timm_pool": "map",
            "timm_proj": "none",
        },
        embed_dim=trunk.transformer.width,  # there is no projection
        quick_gelu=shape.text.transformer.activation == "quick_gelu",
        custom_text=True,
    )
    refuse_what_is_lost(f"open_clip's {name}", shape, describe(written))
    return written


def _nearest(vision: spec.Vision) -> str:
    """The tower that agrees with a description in most properties."""

    def agreement(name: str) -> int:
        trunk = TRUNKS[name]
        theirs, ours = asdict(trunk.transformer), asdict(vision.transformer)
        sizes = (trunk.image_size == vision.image_size) + (trunk.patch_size == vision.patch_size)
        return sizes + sum(theirs[key] == ours[key] for key in theirs)

    return max(TRUNKS, key=agreement)


def rules(shape: spec.DualEncoder) -> tuple[Rule, ...]:
    """The table of weights."""
    vision, theirs = shape.vision, "visual.trunk"
    table, patch = (shape.vision.length, vision.transformer.width), f"{theirs}.patch_embed.proj"
    return (
        same("vision/patch/kernel", f"{patch}.weight", patches(vision.patch_size)),
        same("vision/patch/bias", f"{patch}.bias"),
        same("vision/positions", f"{theirs}.pos_embed", reshape(table, (1, *table))),
        *_block_rules(vision.transformer.heads),
        *norm("vision/norm_post", f"{theirs}.norm"),
        *_pool_rules(vision.transformer),
        *text_rules(shape.text, prefix="text."),
        *temperature_rules(shape),
    )


def _block_rules(heads: int) -> tuple[Rule, ...]:
    ours, theirs = "vision/blocks", "visual.trunk.blocks.{layer}"
    return (
        *norm(f"{ours}/norm1", f"{theirs}.norm1"),
        *packed(f"{ours}/attention/qkv", f"{theirs}.attn.qkv.", 3, heads),
        *linear(f"{ours}/attention/out", f"{theirs}.attn.proj"),
        *norm(f"{ours}/norm2", f"{theirs}.norm2"),
        *linear(f"{ours}/mlp/up", f"{theirs}.mlp.fc1"),
        *linear(f"{ours}/mlp/down", f"{theirs}.mlp.fc2"),
    )


def _pool_rules(transformer: spec.Transformer) -> tuple[Rule, ...]:
    ours, theirs, width = "vision/pool", "visual.trunk.attn_pool", transformer.width
    return (
        same(f"{ours}/probe", f"{theirs}.latent", reshape((width,), (1, 1, width))),
        *linear(f"{ours}/query", f"{theirs}.q"),
        *packed(f"{ours}/key_value", f"{theirs}.kv.", 2, transformer.heads),
        *linear(f"{ours}/out", f"{theirs}.proj"),
        *norm(f"{ours}/norm", f"{theirs}.norm"),
        *linear(f"{ours}/mlp/up", f"{theirs}.mlp.fc1"),
        *linear(f"{ours}/mlp/down", f"{theirs}.mlp.fc2"),
    )


def _with_prefix(name: str) -> str:
    """Put a part of the text tower under "text."; without "custom_text" it is not."""
    return f"text.{name}" if name.split(".")[0] in TEXT_PARTS else name


FAMILY = Family(
    name="open_clip SigLIP",
    format="open_clip",
    recognises=open_clip_config.is_siglip,
    describe=describe,
    files=files,
    rules=rules,
    canonical=_with_prefix,
)
