"""A trained dual encoder as users hold it: pictures and texts in, NumPy embeddings out."""

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jax
import numpy as np
from jax.sharding import PartitionSpec
from jaxtyping import Array, Float, UInt8
from PIL import Image

from kgclip_jax.batch import Images, Texts
from kgclip_jax.data.entity_views import cut_to
from kgclip_jax.data.images import evaluation_transform
from kgclip_jax.data.lazy_pictures import EvaluationTransform
from kgclip_jax.data.preprocessing import Preprocessing
from kgclip_jax.data.tokenization.clip_tokenizer import bucket
from kgclip_jax.errors import BadRecord, CheckpointError, DataError
from kgclip_jax.files import read_bytes
from kgclip_jax.knowledge.caption import Caption, Text, words_of
from kgclip_jax.loading import open_trained
from kgclip_jax.model_inputs import preprocessing_for
from kgclip_jax.models import spec
from kgclip_jax.models.dual_encoder import Model, Params
from kgclip_jax.models.encode import encode
from kgclip_jax.models.heads import Head, RowFunction, bind_head, heads_from
from kgclip_jax.training.sharding import put_from_host

Picture = str | Path | Image.Image | UInt8[np.ndarray, "_ _ 3"]
Pictures = UInt8[np.ndarray, "b height width 3"] | Sequence[Picture]
_PICTURE = "a picture is a path, a PIL image or a uint8 array (height, width, 3)"


Whole = jax.sharding.NamedSharding | None  # of what each host needs all of


def _whole(tree: Any, everywhere: Whole) -> Any:
    """Give all rows to all devices, so that each host can read them."""
    return tree if everywhere is None else jax.lax.with_sharding_constraint(tree, everywhere)


# Compiled once for each architecture, however many encoders come and go during a run.
@functools.partial(jax.jit, static_argnums=(0, 1))
def _embed(model: Model, everywhere: Whole, params: Params, inputs: Images | Texts) -> Array:
    return _whole(encode(model.bind(params), inputs).pooled, everywhere)


Heads = tuple[tuple[str, Head], ...]


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3))
def read_rows(
    model: Model,
    heads: Heads,
    function: RowFunction,
    everywhere: Whole,
    params: Params,
    rows: Any,
    constants: Any,
) -> Any:
    """The pure function of `ClipEncoder.read`, whose params are {"model", "heads"}."""
    bound = {name: bind_head(head, model.shape, params["heads"][name]) for name, head in heads}
    read = function(bound, encode(model.bind(params["model"]), rows), constants)
    return _whole(read, everywhere)


class ClipEncoder:
    """Embeds pictures and texts into one space.

    Args:
        model: the architecture.
        params: its parameters, on any devices.
        reading: how it reads texts; None for a model of which no tokenizer is known.
        step: training steps behind the parameters.
        batch_size: inputs that go through a tower at once.
        sharding: of inputs over devices, for parameters that are sharded; where it spans hosts, all
            of them ask the same at the same time.
        heads: modules that were trained beside the model, by name.
        head_params: the parameters of each.
    """

    def __init__(
        self,
        model: Model,
        params: Params,
        reading: Preprocessing | None,
        *,
        step: int,
        batch_size: int = 128,
        sharding: jax.sharding.NamedSharding | None = None,
        heads: Mapping[str, Head] = MappingProxyType({}),
        head_params: Params | None = None,
    ) -> None:
        self.model = model
        self.params = params
        self.step = step
        self.heads = heads
        self._head_params = head_params
        self._reading = reading
        self._batch_size = batch_size
        self._sharding = sharding
        self._everywhere = None if sharding is None else sharding.update(spec=PartitionSpec())
        context = model.shape.text.context_length
        causal = model.shape.text.causal
        self._buckets = sorted({16, 32, context}) if causal and context > 16 else [context]

    def encode_image(self, images: Pictures) -> Float[np.ndarray, "b d"]:
        """Return unit-length float32 embeddings.

        Args:
            images: paths of files, uint8 arrays or PIL images of any size; those that are not of
                the model's size are resized as in its evaluation preprocessing.

        Raises:
            TypeError: for an array that is no uint8 picture, or one picture instead of several.
            DataError: a picture cannot be read, or prepared; the message says which.
        """
        if isinstance(images, str | Path | Image.Image):
            raise TypeError("encode_image takes a list of pictures, not one picture")
        vision = self.model.shape.vision
        side = (vision.image_size, vision.image_size, 3)
        if isinstance(images, np.ndarray) and (images.dtype, images.shape[1:]) == (np.uint8, side):
            return self._embed_all(Images(images))
        transform = EvaluationTransform(vision.image_size, vision.resize, vision.interpolation)
        pictures = [_prepared(image, place, transform) for place, image in enumerate(images)]
        return self._embed_all(Images(np.array(pictures, np.uint8).reshape(-1, *side)))

    def encode_text(self, texts: Sequence[Text]) -> Float[np.ndarray, "b d"]:
        """Return float32 embeddings.

        They are of unit length, but for what a knowledge encoder adds to those of `Caption`s whose
        scene graph has triples. Without a knowledge encoder a graph changes nothing.

        Raises:
            TypeError: for one text alone.
            CheckpointError: the model came without a tokenizer.
        """
        return self._embed_all(self.texts(texts))

    def texts(self, texts: Sequence[Text], length: int | None = None) -> Texts:
        """Return texts as the text tower takes them; raises as `encode_text` does.

        They are cut and filled up to so many tokens if a length is given, where the tower allows
        that; by default they are as long as the longest needs.
        """
        if isinstance(texts, str | Caption):
            raise TypeError("encode_text takes a list of texts, not one text")
        if self._reading is None:
            raise CheckpointError(
                "this model came without tokenizer files; put its tokenizer.json, or CLIP's "
                "vocab.json and merges.txt, into the folder of its weights"
            )
        tokenizer, triples = self._reading.tokenizer, self._reading.triples
        words = [words_of(text) for text in texts]
        if length is None:
            tokens = tokenizer(words)
            length = bucket(int(tokenizer.lengths(tokens).max(initial=0)), self._buckets)
            tokens = tokens[:, :length]
        else:
            tokens, _ = cut_to(tokenizer, words, self._reading.text_length(length))
        return Texts((tokens,), None if triples is None else triples(texts))

    def read(self, rows: Any, function: RowFunction, constants: Any = None) -> Any:
        """Apply a function of heads to rows, as the first phase of an objective does.

        Args:
            rows: a tree of inputs (`Images`, `Texts`) and arrays, all with as many rows in front.
            function: of the heads by name, the rows with `Features` in the place of inputs, and the
                constants; row by row; compiled once for each function and shape.
            constants: arrays that have no rows.

        Returns:
            What the function returns of all rows, as NumPy arrays.

        Raises:
            CheckpointError: it returns a number that is infinite or NaN.
        """
        params = {"model": self.params, "heads": self._head_params}
        heads = tuple(self.heads.items())
        return self._in_batches(
            lambda part: read_rows(
                self.model, heads, function, self._everywhere, params, part, constants
            ),
            rows,
        )

    def similarity(
        self, images: Pictures, texts: Sequence[Text]
    ) -> Float[np.ndarray, "images texts"]:
        """Return the dot product of each picture's and each text's embedding, float32.

        It is their cosine similarity where there is no knowledge encoder.
        """
        return self.encode_image(images) @ self.encode_text(texts).T

    def _embed_all(self, inputs: Images | Texts) -> Float[np.ndarray, "b d"]:
        if not len(jax.tree.leaves(inputs)[0]):
            return np.zeros((0, self.model.shape.embedding), np.float32)
        return self._in_batches(
            lambda part: _embed(self.model, self._everywhere, self.params, part), inputs
        )

    def _in_batches(self, function: Callable[[Any], Any], rows: Any) -> Any:
        """Compute batch by batch; the last one is padded.

        Raises CheckpointError where a number that comes out is infinite or NaN.
        """
        outputs = []
        count = len(jax.tree.leaves(rows)[0])
        for start in range(0, count, self._batch_size):
            size = min(self._batch_size, count - start)
            # Rows beyond the last are the last one again.
            chosen = np.minimum(start + np.arange(self._padded(size)), count - 1)
            padded = jax.tree.map(lambda array, chosen=chosen: array[chosen], rows)
            found = jax.device_get(function(self._put(padded)))
            outputs.append(jax.tree.map(lambda array, size=size: array[:size], found))
        joined = jax.tree.map(lambda *parts: np.concatenate(parts), *outputs)
        if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(joined)):
            dtype = self.model.execution.dtype
            raise CheckpointError(
                f"this model's embeddings are infinite or NaN, computed in {dtype}; if its "
                "parameters are finite, compute them in float32"
            )
        return joined

    def _put(self, rows: Any) -> Any:
        if self._sharding is None:
            return jax.device_put(rows)
        return put_from_host(rows, self._sharding)

    def _padded(self, rows: int) -> int:
        """Rows to compute for `rows`: a power of two, so that few sizes are ever compiled."""
        if self._sharding is not None:
            return self._batch_size
        return min(self._batch_size, 1 << (rows - 1).bit_length())


def _prepared(
    picture: Any, place: int, transform: EvaluationTransform
) -> UInt8[np.ndarray, "size size 3"]:
    """Read and resize a picture; refuse what Pillow would quietly take for another one."""
    name, image = f"picture {place}", picture
    if isinstance(image, str | Path):
        name, image = str(picture), read_bytes(Path(image).expanduser())
    elif isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise TypeError(f"{_PICTURE}, not an array of {image.dtype} {image.shape}")
    elif not isinstance(image, Image.Image):
        raise TypeError(f"{_PICTURE}, not a {type(image).__name__}")
    try:
        return evaluation_transform(image, *transform)
    except BadRecord as error:
        raise DataError(f"{name}: {error}") from error


def load(
    source: str | Path,
    *,
    step: int | None = None,
    averaged: bool = False,
    shape: spec.DualEncoder | None = None,
    heads: bool = False,
) -> ClipEncoder:
    """Load a trained model.

    Args:
        source: a run's workdir; a folder or hub id of a Hugging Face CLIP or SigLIP or of an
            open_clip model; a `.safetensors` or `.pt` file.
        step: of a run's checkpoint; the newest by default.
        averaged: take the moving average of a run's parameters.
        shape: the architecture, for a file of weights that has no config beside it; for instance
            `kgclip_jax.models.presets.preset("ViT-B-32")`. Other sources may only confirm it.
        heads: load what a run trained beside the model too.

    Raises:
        ConfigError: the config of a run is damaged, or it has a head of a kind that is not known.
        CheckpointError: a run has no such checkpoint, or one that does not fit its tokenizers.
        ConversionError: there is nothing at `source`, its weights do not fit their config or are of
            a kind that is not known, or it is of another architecture than `shape`.
    """
    trained = open_trained(source, step=step, averaged=averaged, shape=shape)
    reading = None
    if trained.tokenizers is not None:
        reading = preprocessing_for(trained.shape, trained.tokenizers)
    model = Model(trained.shape, trained.execution.on(jax.default_backend()))
    device = jax.local_devices()[0]
    params = jax.device_put(trained.read(), device)
    return ClipEncoder(
        model,
        params,
        reading,
        step=trained.step,
        heads=heads_from(trained.heads) if heads else {},
        head_params=jax.device_put(trained.read_heads(), device) if heads else None,
    )
