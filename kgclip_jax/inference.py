"""A trained dual encoder as users hold it: pictures and texts in, NumPy embeddings out."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, UInt8
from PIL import Image

from kgclip_jax.batch import Images, Texts, Triples
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

Picture = str | Path | Image.Image | UInt8[np.ndarray, "_ _ 3"]
Pictures = UInt8[np.ndarray, "b height width 3"] | Sequence[Picture]
_PICTURE = "a picture is a path, a PIL image or a uint8 array (height, width, 3)"


# Compiled once for each architecture, however many encoders come and go during a run.
@functools.partial(jax.jit, static_argnums=0)
def _encode_image(model: Model, params: Params, images: Array) -> Array:
    return encode(model.bind(params), Images(images)).pooled


@functools.partial(jax.jit, static_argnums=0)
def _encode_text(
    model: Model, params: Params, tokens: Array, triples: Triples | None = None
) -> Array:
    return encode(model.bind(params), Texts((tokens,), triples)).pooled


class ClipEncoder:
    """Embeds pictures and texts into one space.

    Args:
        model: the architecture.
        params: its parameters, on any devices.
        reading: how it reads texts; None for a model of which no tokenizer is known.
        step: training steps behind the parameters.
        batch_size: inputs that go through a tower at once.
        sharding: of inputs over devices, for parameters that are sharded.
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
    ) -> None:
        self.model = model
        self.params = params
        self.step = step
        self._reading = reading
        self._batch_size = batch_size
        self._sharding = sharding
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
            return self._in_batches(_encode_image, images)
        transform = EvaluationTransform(vision.image_size, vision.resize, vision.interpolation)
        pictures = [_prepared(image, place, transform) for place, image in enumerate(images)]
        return self._in_batches(_encode_image, np.array(pictures, np.uint8).reshape(-1, *side))

    def encode_text(self, texts: Sequence[Text]) -> Float[np.ndarray, "b d"]:
        """Return float32 embeddings.

        They are of unit length, but for what a knowledge encoder adds to those of `Caption`s whose
        scene graph has triples. Without a knowledge encoder a graph changes nothing.

        Raises:
            TypeError: for one text alone.
            CheckpointError: the model came without a tokenizer.
        """
        if isinstance(texts, str | Caption):
            raise TypeError("encode_text takes a list of texts, not one text")
        if self._reading is None:
            raise CheckpointError(
                "this model came without tokenizer files; put its tokenizer.json, or CLIP's "
                "vocab.json and merges.txt, into the folder of its weights"
            )
        tokenizer, triples = self._reading.tokenizer, self._reading.triples
        tokens = tokenizer([words_of(text) for text in texts])
        length = bucket(int(tokenizer.lengths(tokens).max(initial=0)), self._buckets)
        inputs: list[np.ndarray | Triples] = [tokens[:, :length]]
        if triples is not None:
            inputs.append(triples(texts))
        return self._in_batches(_encode_text, *inputs)

    def similarity(
        self, images: Pictures, texts: Sequence[Text]
    ) -> Float[np.ndarray, "images texts"]:
        """Return the dot product of each picture's and each text's embedding, float32.

        It is their cosine similarity where there is no knowledge encoder.
        """
        return self.encode_image(images) @ self.encode_text(texts).T

    def _in_batches(
        self, tower: Callable[..., Array], *inputs: np.ndarray | Triples
    ) -> Float[np.ndarray, "b d"]:
        """Encode batch by batch; the last one is padded.

        Raises CheckpointError where a number of an embedding is infinite or NaN.
        """
        outputs = [np.zeros((0, self.model.shape.embedding), np.float32)]
        count = len(jax.tree.leaves(inputs)[0])
        for start in range(0, count, self._batch_size):
            rows = min(self._batch_size, count - start)
            # Rows beyond the last are the last one again.
            chosen = np.minimum(start + np.arange(self._padded(rows)), count - 1)
            padded = jax.tree.map(lambda array, chosen=chosen: array[chosen], inputs)
            placed = jax.device_put(padded, self._sharding)
            outputs.append(jax.device_get(tower(self.model, self.params, *placed))[:rows])
        embeddings = np.concatenate(outputs)
        if not np.isfinite(embeddings).all():
            dtype = self.model.execution.dtype
            raise CheckpointError(
                f"this model's embeddings are infinite or NaN, computed in {dtype}; if its "
                "parameters are finite, compute them in float32"
            )
        return embeddings

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
) -> ClipEncoder:
    """Load a trained model.

    Args:
        source: a run's workdir; a folder or hub id of a Hugging Face CLIP or SigLIP or of an
            open_clip model; a `.safetensors` or `.pt` file.
        step: of a run's checkpoint; the newest by default.
        averaged: take the moving average of a run's parameters.
        shape: the architecture, for a file of weights that has no config beside it; for instance
            `kgclip_jax.models.presets.preset("ViT-B-32")`. Other sources may only confirm it.

    Raises:
        ConfigError: the config of a run is damaged.
        CheckpointError: a run has no such checkpoint, or one that does not fit its tokenizers.
        ConversionError: there is nothing at `source`, its weights do not fit their config or are of
            a kind that is not known, or it is of another architecture than `shape`.
    """
    trained = open_trained(source, step=step, averaged=averaged, shape=shape)
    reading = None
    if trained.tokenizers is not None:
        reading = preprocessing_for(trained.shape, trained.tokenizers)
    model = Model(trained.shape, trained.execution.on(jax.default_backend()))
    params = jax.device_put(trained.read(), jax.devices()[0])
    return ClipEncoder(model, params, reading, step=trained.step)
