"""Descriptions of dual encoders: everything that a checkpoint must say to be read back correctly.

Plain frozen dataclasses without JAX, so that configs, tools and converters can use them cheaply.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from kgclip_jax.knowledge.converses import Converses, check_converses
from kgclip_jax.ranges import (
    INT32_MAX,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Range,
)

Activation = Literal["quick_gelu", "gelu_erf", "gelu_tanh"]
InitialValues = Literal["clip", "siglip", "gpt2"]
Combination = Literal["difference", "sum", "linear"]

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class Transformer:
    """A stack of blocks. Whose they are says where their norms stand: before each layer in towers.

    Attributes:
        width: features of the residual stream.
        depth: number of blocks.
        heads: attention heads; must divide `width`.
        mlp_width: hidden features of the feed-forward layers.
        activation: non-linearity of the feed-forward layers, by its exact form.
        norm_eps: epsilon of every layer norm (CLIP 1e-5, SigLIP 1e-6).
    """

    width: PositiveInt
    depth: PositiveInt
    heads: PositiveInt
    mlp_width: PositiveInt
    activation: Activation = "gelu_erf"
    norm_eps: PositiveFloat = 1e-5

    def __post_init__(self) -> None:
        if self.heads < 1 or self.width % self.heads:
            raise ValueError(f"width {self.width} is not divisible by heads {self.heads}")


@dataclass(frozen=True)
class Vision:
    """A vision transformer.

    Attributes:
        transformer: its blocks.
        image_size: side of the square input, in pixels.
        patch_size: side of a patch, in pixels; pixels beyond the last whole patch are not seen.
        pooling: "class" reads the class token, "mean" averages the patches, "map" is multi-head
            attention pooling (SigLIP).
        class_token: whether a learned token stands before the patches.
        pool_before_norm: pool first, then norm the pooled vector (CLIPA); for the class token both
            orders are the same.
        positions: "learned" table, or fixed two-dimensional sine-cosine waves.
        patch_bias: whether the patch embedding has a bias (CLIP: no, SigLIP: yes).
        norm_pre: layer norm before the first block (CLIP: yes).
        projection: bias-free linear map to the embedding (SigLIP: none).
        mean: what a channel in [0, 1] is reduced by before the tower.
        std: what it is divided by afterwards.
        resize: evaluation preprocessing: "shortest" side then centre crop, or "squash" to a square.
        interpolation: of that resizing, antialiased (CLIP, SigLIP bicubic; SigLIP 2 bilinear).
    """

    transformer: Transformer
    image_size: PositiveInt = 224
    patch_size: PositiveInt = 32
    pooling: Literal["class", "mean", "map"] = "class"
    class_token: bool = True
    pool_before_norm: bool = False
    positions: Literal["learned", "sincos2d"] = "learned"
    patch_bias: bool = False
    norm_pre: bool = True
    projection: bool = True
    mean: tuple[float, float, float] = CLIP_MEAN
    std: tuple[PositiveFloat, PositiveFloat, PositiveFloat] = CLIP_STD
    resize: Literal["shortest", "squash"] = "shortest"
    interpolation: Literal["bicubic", "bilinear"] = "bicubic"

    def __post_init__(self) -> None:
        if self.pooling == "class" and not self.class_token:
            raise ValueError("pooling 'class' needs class_token")
        if self.pool_before_norm and self.pooling != "mean":
            raise ValueError("pool_before_norm means something for pooling 'mean' alone")
        if not 0 < self.patch_size <= self.image_size:
            raise ValueError(
                f"image_size {self.image_size} holds no patch of patch_size {self.patch_size}"
            )
        if self.positions == "sincos2d" and self.transformer.width % 4:
            raise ValueError(
                f"positions 'sincos2d' need a width divisible by 4, not {self.transformer.width}"
            )

    @property
    def grid(self) -> int:
        """Patches along one side."""
        return self.image_size // self.patch_size

    @property
    def length(self) -> int:
        """Tokens that the blocks see."""
        return self.grid**2 + self.class_token


@dataclass(frozen=True)
class Text:
    """A text transformer.

    Attributes:
        transformer: its blocks.
        vocabulary: number of token ids.
        context_length: positions; longer texts are truncated.
        causal: whether a token sees only what stands before it.
        pooling: "eos" reads the first end-of-text token, "argmax" the first token of the highest id
            (CLIP's own rule: the same, unless tokens were added above the end of text), "last" the
            last position.
        eos_id: the end-of-text token.
        projection_bias: whether the map to the embedding has a bias (SigLIP: yes).
    """

    transformer: Transformer
    vocabulary: PositiveInt = 49408
    context_length: PositiveInt = 77
    causal: bool = True
    pooling: Literal["eos", "argmax", "last"] = "eos"
    eos_id: NonNegativeInt = 49407
    projection_bias: bool = False

    def __post_init__(self) -> None:
        if self.causal and self.pooling == "last":
            raise ValueError("a causal tower takes cut texts, whose last position means nothing")


@dataclass(frozen=True)
class KnowledgeEncoder:
    """Structure-CLIP's encoder of a text's scene graph, beside the text tower.

    Attributes:
        transformer: its blocks, which norm after each layer, as BERT's do.
        weight: of what it adds to a unit text embedding (the paper's lambda); 0 is plain CLIP.
        triples: most triples of a text that are read; the first ones.
        element_length: tokens of a subject, relation or object, special tokens included; at least
            3, a word between those of beginning and end.
        elements: "text" reads the text tower's tokens by its table, and averages those there are;
            "wordpiece" reads BERT's by a table, positions and a norm of its own, and averages all
            `element_length` of them, padding included, as the released code does.
        vocabulary: wordpiece only: number of token ids (BERT 30522).
        readout: "first" takes the output of the first triple (the released code), "mean" the
            average of all.
        converses: pairs of phrases for a relation, its canonical name first, and for its converse:
            (("left of",), ("right of", "on its right")). Relations told in these phrases are read
            by their canonical name, converses turned round. Others, and without any pairs, as in
            the paper, all, are read as they are.
        combination: what a triple is read as: its "difference" h + r - t (the paper), the "sum"
            h + r + t or a "linear" map of all three (both tried in the released code).
    """

    transformer: Transformer
    weight: NonNegativeFloat = 0.2
    triples: PositiveInt = 6
    element_length: Annotated[int, Range(3, INT32_MAX)] = 5
    elements: Literal["text", "wordpiece"] = "text"
    vocabulary: PositiveInt | None = None
    readout: Literal["first", "mean"] = "first"
    converses: Converses = ()
    combination: Combination = "difference"

    def __post_init__(self) -> None:
        check_converses(self.converses)
        if (self.elements == "wordpiece") != (self.vocabulary is not None):
            raise ValueError("vocabulary is for elements 'wordpiece', which need it")


@dataclass(frozen=True)
class DualEncoder:
    """Two towers and the temperature between them.

    Attributes:
        vision: the image tower.
        text: the text tower.
        embedding: features of the shared space.
        logit_scale: initial factor on cosine similarities (CLIP 1/0.07, SigLIP 10).
        max_logit_scale: upper limit of that factor (CLIP 100), or None.
        logit_bias: initial bias on the logits (SigLIP -10), or None for no such parameter.
        knowledge: the encoder of scene graphs beside the text tower, or None.
        initial_values: whose values a fresh model starts from, open_clip's ("clip") or big_vision's
            ("siglip"), or GPT-2's in both towers ("gpt2").
    """

    vision: Vision
    text: Text
    embedding: PositiveInt = 512
    logit_scale: PositiveFloat = 1 / 0.07
    max_logit_scale: Annotated[float, Range(1)] | None = 100.0
    logit_bias: float | None = None
    knowledge: KnowledgeEncoder | None = None
    initial_values: InitialValues = "clip"

    def __post_init__(self) -> None:
        if self.max_logit_scale is not None and not 1 <= self.logit_scale <= self.max_logit_scale:
            raise ValueError(
                f"logit_scale {self.logit_scale} is not within 1 and max_logit_scale "
                f"{self.max_logit_scale}, as it is held"
            )
        knowledge, width = self.knowledge, self.text.transformer.width
        if knowledge and knowledge.elements == "text" and knowledge.transformer.width != width:
            raise ValueError(
                f"knowledge of elements 'text' shares the text tower's table: its width "
                f"{knowledge.transformer.width} must be {width}"
            )
        if not self.vision.projection and self.vision.transformer.width != self.embedding:
            raise ValueError(
                f"without a projection the vision width {self.vision.transformer.width} "
                f"must equal the embedding {self.embedding}"
            )
