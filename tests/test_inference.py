"""A trained model as users hold it."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import kgclip_jax
from kgclip_jax.batch import Images, Texts
from kgclip_jax.convert.export import export
from kgclip_jax.data.images import evaluation_transform
from kgclip_jax.data.tokenization.clip_tokenizer import ClipTokenizer
from kgclip_jax.data.tokenization.tokenizer_config import Tokenizers
from kgclip_jax.errors import CheckpointError, ConversionError, DataError
from kgclip_jax.evaluation.encoder import Encoder
from kgclip_jax.inference import ClipEncoder
from kgclip_jax.knowledge.caption import Caption
from kgclip_jax.model_inputs import preprocessing_for
from kgclip_jax.models.dual_encoder import Model
from kgclip_jax.models.encode import encode
from kgclip_jax.models.presets import preset
from kgclip_jax.models.spec import KnowledgeEncoder
from kgclip_jax.store.description import describe
from kgclip_jax.store.workdir import Workdir
from tests.knowledge.worded import worded
from tests.store.runs import save_run

SHAPE = preset("tiny")
SIDE = SHAPE.vision.image_size
TEXTS = ["a dog", "two cats to the left of an enormous red house", "", "a dog", "ein Löwe 🦁"]


def pictures(*sizes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]


def make_params(seed):
    rng = np.random.default_rng(seed)
    return jax.tree.map(
        lambda leaf: jnp.asarray(0.1 * rng.standard_normal(leaf.shape), jnp.float32),
        Model(SHAPE).abstract(),
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A workdir with the checkpoints of steps 0 and 1."""
    workdir = Workdir(tmp_path_factory.mktemp("run"))
    items = {
        step: {"model": make_params(step), "average": {"model": make_params(10 + step)}}
        for step in (0, 1)
    }
    save_run(workdir, describe(SHAPE, Tokenizers()), items)
    return workdir.root


@pytest.fixture(scope="module")
def model(run):
    return kgclip_jax.load(run)


def pooled(model, inputs):
    """What the towers make of inputs, without batches and buckets."""
    inputs = jax.tree.map(jnp.asarray, inputs)
    return jax.jit(lambda params, x: encode(model.model.bind(params), x).pooled)(
        model.params, inputs
    )


def assert_embeddings(rows, count):
    assert rows.shape == (count, SHAPE.embedding)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


def test_it_is_an_encoder(model):
    assert isinstance(model, Encoder)
    assert isinstance(model, kgclip_jax.ClipEncoder)


def test_pictures_of_the_model_s_size_are_embedded_as_they_are(model):
    images = np.stack(pictures(*[(SIDE, SIDE)] * 5))
    rows = model.encode_image(images)
    assert_embeddings(rows, 5)
    expected = pooled(model, Images(images))
    np.testing.assert_allclose(rows, expected, atol=1e-6)


def test_other_pictures_are_preprocessed_one_by_one(model):
    arrays = pictures((SIDE, SIDE), (40, 20), (7, 31), (SIDE, 99))
    mixed = [arrays[0], Image.fromarray(arrays[1]), arrays[2], Image.fromarray(arrays[3])]
    rows = model.encode_image(mixed)
    assert_embeddings(rows, 4)
    prepared = [evaluation_transform(array, SIDE, "shortest") for array in arrays]
    np.testing.assert_array_equal(prepared[0], arrays[0])
    np.testing.assert_allclose(rows, model.encode_image(np.stack(prepared)), atol=1e-6)
    one_size = np.stack(pictures((40, 20), (40, 20)))
    np.testing.assert_array_equal(model.encode_image(one_size), model.encode_image(list(one_size)))


def test_pictures_of_other_modes_are_converted(model):
    grey = Image.fromarray(pictures((30, 30))[0]).convert("L")
    np.testing.assert_array_equal(
        model.encode_image([grey]), model.encode_image([grey.convert("RGB")])
    )


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((2, SIDE, SIDE, 3), np.float32),
        np.zeros((SIDE, SIDE, 3), np.uint8),
        [np.zeros((SIDE, SIDE), np.uint8)],
        [np.zeros((SIDE, SIDE, 3), np.float32)],
        Image.new("RGB", (SIDE, SIDE)),
        "a.jpg",
        [7],
    ],
    ids=["floats", "one array", "grey array", "float array", "one picture", "one path", "number"],
)
def test_what_is_no_list_of_uint8_pictures_is_refused(model, images):
    encode = kgclip_jax.ClipEncoder.encode_image.__wrapped__  # without the check of annotations
    with pytest.raises(TypeError, match=r"a picture is|list of pictures"):
        encode(model, images)


def test_files_are_read(model, tmp_path):
    image = Image.fromarray(pictures((40, 20))[0])
    image.save(tmp_path / "a.png")
    paths = [tmp_path / "a.png", str(tmp_path / "a.png")]
    expected = model.encode_image([image, image])
    np.testing.assert_array_equal(model.encode_image(paths), expected)


def test_pictures_that_cannot_be_read_are_named(model, tmp_path):
    (tmp_path / "torn.jpg").write_bytes(b"<html>")
    good = Image.new("RGB", (8, 8))
    for bad, name in (
        (tmp_path / "torn.jpg", r"torn\.jpg: unreadable image"),
        (tmp_path / "gone.jpg", r"gone\.jpg: No such file"),
        (Image.new("F", (8, 8)), r"picture 1: unreadable image: pixels of 32 bits"),
    ):
        with pytest.raises(DataError, match=name):
            model.encode_image([good, bad])


def test_texts_are_embedded_the_same_in_any_company(model):
    rows = model.encode_text(TEXTS)
    assert_embeddings(rows, len(TEXTS))
    np.testing.assert_allclose(rows[0], rows[3], atol=1e-6)
    alone = np.concatenate([model.encode_text([text]) for text in TEXTS])
    np.testing.assert_allclose(rows, alone, atol=1e-6)
    tokens = ClipTokenizer(32)(TEXTS)  # not cut to a bucket
    expected = pooled(model, Texts((tokens,)))
    np.testing.assert_allclose(rows, expected, atol=1e-6)


def test_one_text_alone_is_refused(model):
    with pytest.raises(TypeError, match="list of texts"):
        model.encode_text("a dog")


def test_results_do_not_depend_on_the_size_of_batches(model):
    reading = preprocessing_for(SHAPE, Tokenizers())
    small = kgclip_jax.ClipEncoder(model.model, model.params, reading, step=1, batch_size=3)
    images = np.stack(pictures(*[(SIDE, SIDE)] * 7))
    np.testing.assert_allclose(small.encode_image(images), model.encode_image(images), atol=1e-6)
    np.testing.assert_allclose(small.encode_text(TEXTS), model.encode_text(TEXTS), atol=1e-6)


def test_nothing_gives_no_rows(model):
    d = SHAPE.embedding
    assert model.encode_image([]).shape == model.encode_text([]).shape == (0, d)
    assert model.encode_image(np.zeros((0, SIDE, SIDE, 3), np.uint8)).shape == (0, d)
    assert model.encode_text([]).dtype == np.float32


def test_embeddings_that_are_not_finite_are_an_error(model):
    large = jax.tree.map(lambda leaf: jnp.full_like(leaf, 1e38), model.params)
    encoder = ClipEncoder(model.model, large, preprocessing_for(SHAPE, Tokenizers()), step=0)
    for embed, inputs in [
        (encoder.encode_text, ["a dog"]),
        (encoder.encode_image, np.zeros((1, 16, 16, 3), np.uint8)),
    ]:
        with pytest.raises(CheckpointError, match="embeddings are infinite or NaN, computed in fl"):
            embed(inputs)


def test_similarity_is_the_cosine_of_each_picture_with_each_text(model):
    images = pictures((SIDE, SIDE), (40, 20), (9, 9))
    cosines = model.similarity(images, TEXTS)
    assert cosines.shape == (3, len(TEXTS))
    assert cosines.dtype == np.float32
    one = model.encode_image(images)[1] @ model.encode_text(TEXTS)[4]
    assert cosines[1, 4] == pytest.approx(one, abs=1e-6)
    assert model.similarity([], TEXTS).shape == (0, len(TEXTS))
    stacked = np.stack(pictures((SIDE, SIDE), (SIDE, SIDE)))
    assert model.similarity(stacked, TEXTS).shape == (2, len(TEXTS))


def test_checkpoints_are_chosen_by_step_and_the_average_on_request(run, model):
    assert model.step == 1
    first, averaged = kgclip_jax.load(run, step=0), kgclip_jax.load(run, averaged=True)
    assert (first.step, averaged.step) == (0, 1)
    for loaded, seed in [(first, 0), (model, 1), (averaged, 11)]:
        jax.tree.map(np.testing.assert_array_equal, loaded.params, make_params(seed))


def test_what_cannot_be_loaded_is_a_clear_error(run, tmp_path):
    with pytest.raises(ConversionError, match="is no model"):
        kgclip_jax.load(tmp_path)
    with pytest.raises(CheckpointError, match="has no step 7; it has: 0, 1"):
        kgclip_jax.load(run, step=7)


@pytest.fixture
def exported(tmp_path):
    """A folder of another library, with a head that no tower has."""
    learned = replace(SHAPE.vision, positions="learned")
    shape = replace(SHAPE, vision=learned)
    params = jax.device_get(jax.jit(Model(shape).initialise, static_argnums=0)(0))
    params["knowledge"] = {"encoder": {"kernel": np.ones((2, 3), np.float32)}}
    export(params, shape, Tokenizers(), tmp_path / "exported", format="huggingface", card=str)
    return tmp_path / "exported"


def test_heads_of_training_do_not_stand_in_the_way(exported, caplog):
    loaded = kgclip_jax.load(exported)
    assert_embeddings(loaded.encode_text(TEXTS), len(TEXTS))
    assert caplog.messages == [
        f"{exported}/kgclip_jax_extra.safetensors: not taken, of no tower: knowledge/encoder/kernel"
    ]


def test_a_contradictory_shape_is_refused(run, exported):
    for source in (run, exported):
        with pytest.raises(
            ConversionError, match=r"embedding: 32 -> 16\n(.*\n)*.*leave out `shape`$"
        ):
            kgclip_jax.load(source, shape=replace(SHAPE, embedding=16))


def test_texts_need_a_tokenizer_beside_the_weights(exported):
    file, shape = exported / "model.safetensors", kgclip_jax.load(exported).model.shape
    tokenizer = (exported / "tokenizer.json").read_bytes()
    for other in exported.iterdir():
        if other != file:
            other.unlink()
    with pytest.raises(CheckpointError, match=r"put its tokenizer\.json.* into the folder of its"):
        kgclip_jax.load(file, shape=shape).encode_text(TEXTS)
    (exported / "tokenizer.json").write_bytes(tokenizer)
    assert_embeddings(kgclip_jax.load(file, shape=shape).encode_text(TEXTS), len(TEXTS))


CAPTIONS = [
    worded("a {small|0} {dog|#0} {above|0>1} a {red|1} {cat|#1}"),
    worded("a {small|0} {cat|#0} {above|0>1} a {red|1} {dog|#1}"),
    worded("nothing"),
    worded("two {cats=cat|#0}"),  # a thing alone makes no triple
]


@pytest.fixture(scope="module")
def reader():
    """Return an encoder that reads graphs, by its batch size."""
    knowledge = KnowledgeEncoder(SHAPE.text.transformer, triples=3)
    shape = replace(SHAPE, knowledge=knowledge)
    params = jax.jit(Model(shape).initialise, static_argnums=0)(0)
    reading = preprocessing_for(shape, Tokenizers())

    def reader(batch_size):
        return kgclip_jax.ClipEncoder(Model(shape), params, reading, step=0, batch_size=batch_size)

    return reader


def test_graphs_are_read_where_texts_have_them(reader):
    encoder = reader(128)
    plain = encoder.encode_text([caption.text for caption in CAPTIONS])
    told = encoder.encode_text(CAPTIONS)
    np.testing.assert_allclose(np.linalg.norm(plain, axis=1), 1, atol=1e-5)
    added = told - plain
    np.testing.assert_allclose(np.linalg.norm(added, axis=1), [0.2, 0.2, 0, 0], atol=1e-5)
    assert np.abs(added[0] - added[1]).max() > 1e-3
    mixed = encoder.encode_text([CAPTIONS[0], CAPTIONS[1].text, CAPTIONS[1]])
    np.testing.assert_allclose(mixed, [told[0], plain[1], told[1]], atol=1e-6)
    images = pictures((SIDE, SIDE), (9, 9))
    scores = encoder.similarity(images, CAPTIONS)
    np.testing.assert_allclose(scores, encoder.encode_image(images) @ told.T, atol=1e-6)


def test_graphs_are_read_the_same_in_batches_of_any_size(reader):
    told = reader(128).encode_text(CAPTIONS)
    np.testing.assert_allclose(reader(3).encode_text(CAPTIONS), told, atol=1e-6)


def test_without_a_knowledge_encoder_graphs_change_nothing(model):
    words = [caption.text for caption in CAPTIONS]
    np.testing.assert_array_equal(model.encode_text(CAPTIONS), model.encode_text(words))
    # Under test the type checker looks at one item at random: the words of a caption or its graph.
    refusal = r"list of texts|Type-check error .*ClipEncoder\.(encode_text|texts)"
    with pytest.raises(TypeError, match=refusal):
        model.encode_text(Caption("a dog"))
