"""Files of weights: every kind that is read, those that are refused, and what is written."""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from kgclip_jax.convert.weights import read_weights, write_safetensors
from kgclip_jax.errors import ConversionError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def weights():
    rng = np.random.default_rng(0)
    arrays = {"a.weight": (3, 4), "a.bias": (3,), "scale": (), "b.weight": (5, 2, 2)}
    return {name: rng.standard_normal(size).astype(np.float32) for name, size in arrays.items()}


@pytest.fixture
def tensors(weights):
    return {name: torch.tensor(array) for name, array in weights.items()}


def assert_same(found, weights):
    assert set(found) == set(weights)
    assert len(found) == len(weights)
    for name, array in weights.items():
        np.testing.assert_array_equal(found[name], array, strict=True)


class TestSafetensors:
    def test_there_and_back(self, weights, tmp_path):
        assert write_safetensors(tmp_path, weights, "model") == [tmp_path / "model.safetensors"]
        assert_same(read_weights(tmp_path / "model.safetensors"), weights)

    @pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float64])
    def test_precision_becomes_single(self, weights, tmp_path, dtype):
        rounded = {name: array.astype(dtype) for name, array in weights.items()}
        save_file(rounded, tmp_path / "half.safetensors")
        expected = {name: array.astype(np.float32) for name, array in rounded.items()}
        assert_same(read_weights(tmp_path / "half.safetensors"), expected)

    def test_whole_numbers_stay(self, tmp_path):
        ids = {"position_ids": np.arange(5)}
        save_file(ids, tmp_path / "ids.safetensors")
        assert_same(read_weights(tmp_path / "ids.safetensors"), ids)

    def test_an_unknown_name_is_a_key_error(self, weights, tmp_path):
        write_safetensors(tmp_path, weights, "model")
        with pytest.raises(KeyError):
            read_weights(tmp_path / "model.safetensors")["c"]

    def test_strides_do_not_matter(self, weights, tmp_path):
        turned = {name: np.array(array, order="F") for name, array in weights.items()}
        write_safetensors(tmp_path, turned, "model")
        assert_same(read_weights(tmp_path / "model.safetensors"), weights)

    @pytest.mark.parametrize("damage", ["cut", "empty", "absent"])
    def test_damage_names_the_file(self, weights, tmp_path, damage):
        (path,) = write_safetensors(tmp_path, weights, "model")
        content = path.read_bytes()
        path.write_bytes({"cut": content[:-7], "empty": b"", "absent": b""}[damage])
        if damage == "absent":
            path.unlink()
        with pytest.raises(ConversionError, match=r"model\.safetensors is no complete"):
            read_weights(path)

    def test_torch_is_not_imported(self, weights, tensors, tmp_path):
        write_safetensors(tmp_path, weights, "model")
        torch.save(tensors, tmp_path / "model.pt")
        code = (
            "import sys\n"
            "from pathlib import Path\n"
            "from kgclip_jax.convert.weights import read_weights\n"
            "for name in ('model.safetensors', 'model.pt'):\n"
            f"    assert len(dict(read_weights(Path({str(tmp_path)!r}) / name))) == 4\n"
            "assert 'torch' not in sys.modules\n"
        )
        subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


class TestShards:
    def test_cut_by_size_and_joined(self, weights, tmp_path):
        files = write_safetensors(tmp_path, weights, "model", max_bytes=70)
        assert [file.name for file in files] == [
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors",
            "model.safetensors.index.json",
        ]
        assert {file.name for file in tmp_path.iterdir()} == {file.name for file in files}
        index = json.loads(files[-1].read_text())
        assert index["metadata"] == {"total_size": sum(a.nbytes for a in weights.values())}
        assert load_file(files[1]).keys() == {"b.weight"}
        assert_same(read_weights(files[-1]), weights)

    def test_a_large_weight_has_a_file_of_its_own(self, weights, tmp_path):
        files = write_safetensors(tmp_path, weights, "model", max_bytes=1)
        assert len(files) == len(weights) + 1
        assert_same(read_weights(files[-1]), weights)

    def test_none_means_one_file(self, weights, tmp_path):
        assert len(write_safetensors(tmp_path, weights, "model", max_bytes=None)) == 1

    def test_transformers_reads_them(self, tmp_path):
        from transformers import CLIPConfig, CLIPModel

        from tests.convert.twins import huggingface_clip

        twin = huggingface_clip()
        twin.model.config.save_pretrained(tmp_path)
        write_safetensors(tmp_path, twin.weights(), "model", max_bytes=20_000)
        assert isinstance(twin.model.config, CLIPConfig)
        read = CLIPModel.from_pretrained(tmp_path).state_dict()
        assert_same({name: value.numpy() for name, value in read.items()}, twin.weights())

    def test_a_wrong_index_is_named(self, weights, tmp_path):
        *_, index = write_safetensors(tmp_path, weights, "model", max_bytes=70)
        content = json.loads(index.read_text())
        del content["weight_map"]["scale"]
        index.write_text(json.dumps(content))
        with pytest.raises(ConversionError, match=r"wrong about model-00001.*\n  scale$"):
            read_weights(index)

    @pytest.mark.parametrize(
        "content", ["{", "[]", "{}", '{"weight_map": 3}', '{"weight_map": {"a": ["model"]}}']
    )
    def test_a_damaged_index_is_named(self, tmp_path, content):
        index = tmp_path / "model.safetensors.index.json"
        index.write_text(content)
        message = rf"^{index}.*(is no index of weights|not valid JSON|expected a JSON object)"
        with pytest.raises(ConversionError, match=message):
            read_weights(index)

    @pytest.mark.parametrize(
        "file",
        [
            "model.safetensors.index.json",
            "../other.safetensors",
            "sub/other.safetensors",
            "{folder}/other.safetensors",
            "other.bin",
            "",
            "..",
        ],
    )
    def test_files_that_do_not_lie_beside_it_are_not_read(self, weights, tmp_path, file):
        folder = tmp_path / "folder"
        (folder / "sub").mkdir(parents=True)
        for place in (tmp_path, folder / "sub"):
            write_safetensors(place, weights, "other")
        file = file.format(folder=tmp_path)
        index = folder / "model.safetensors.index.json"
        index.write_text(json.dumps({"weight_map": dict.fromkeys(weights, file)}))
        with pytest.raises(ConversionError, match=r"is no name of a \.safetensors file beside it"):
            read_weights(index)

    def test_pickles_have_an_index_of_their_own(self, weights, tensors, tmp_path):
        names = [*weights]
        places = {name: f"pytorch_model-{n % 2}.bin" for n, name in enumerate(names)}
        for file in {*places.values()}:
            torch.save({n: tensors[n] for n in names if places[n] == file}, tmp_path / file)
        index = tmp_path / "pytorch_model.bin.index.json"
        index.write_text(json.dumps({"weight_map": places}))
        assert_same(read_weights(index), weights)

    def test_a_missing_part_is_named(self, weights, tmp_path):
        part, *_, index = write_safetensors(tmp_path, weights, "model", max_bytes=70)
        part.unlink()
        with pytest.raises(ConversionError, match=r"model-00001-of-00002\.safetensors is no"):
            read_weights(index)


class Counter(torch.nn.Module):
    """Has weights of both precisions and a whole number, like OpenAI's models."""

    def __init__(self, tensors):
        super().__init__()
        for name, tensor in tensors.items():
            self.register_buffer(name.replace(".", "_"), tensor)
        self.blocks = torch.nn.ModuleList([torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3)])
        self.tied = torch.nn.Parameter(self.a_weight)
        self.tied_too = self.tied
        self.sizes, self.kinds, self.eps = [1, 2], {"a": 1}, 1e-5

    def forward(self, x):
        return x + self.scale + self.sizes[0] + self.kinds["a"] + self.eps


class Dangerous:
    """What a pickle may do when it is opened."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


class TestPickles:
    @pytest.mark.parametrize("suffix", [".pt", ".bin", ".pth"])
    def test_state_dict(self, weights, tensors, tmp_path, suffix):
        torch.save(tensors, tmp_path / f"model{suffix}")
        assert_same(read_weights(tmp_path / f"model{suffix}"), weights)

    @pytest.mark.parametrize("protocol", [2, 4])
    def test_views_of_all_kinds(self, tmp_path, protocol):
        base = torch.arange(24.0).reshape(4, 6)
        views = {
            "turned": base.t(),
            "cut": base[1:3, 2:],
            "ids": torch.arange(10).expand((1, -1)),
            "empty": torch.zeros(0, 3),
            "flags": torch.tensor([True, False]),
        }
        torch.save(views, tmp_path / "model.pt", pickle_protocol=protocol)
        expected = {name: tensor.numpy() for name, tensor in views.items()}
        assert_same(read_weights(tmp_path / "model.pt"), expected)

    @pytest.mark.parametrize("prefix", ["", "module."])
    def test_checkpoint_of_open_clip(self, weights, tensors, tmp_path, prefix):
        """With all that the state of a training has, numbers of NumPy's included."""
        optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.ones(2, requires_grad=True))])
        optimizer.param_groups[0]["params"][0].sum().backward()
        optimizer.step()
        checkpoint = {
            "epoch": np.int64(3),
            "best": np.float64(0.5),
            "order": np.arange(4),
            "name": "run",
            "state_dict": {prefix + name: tensor for name, tensor in tensors.items()},
            "optimizer": optimizer.state_dict(),
            "rng": torch.get_rng_state(),
        }
        torch.save(checkpoint, tmp_path / "epoch_3.pt")
        assert_same(read_weights(tmp_path / "epoch_3.pt"), weights)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_precision_becomes_single(self, tensors, tmp_path, dtype):
        rounded = {name: tensor.to(dtype) for name, tensor in tensors.items()}
        torch.save(rounded, tmp_path / "model.pt")
        expected = {name: tensor.float().numpy() for name, tensor in rounded.items()}
        assert_same(read_weights(tmp_path / "model.pt"), expected)

    def test_parameters_with_gradients(self, weights, tensors, tmp_path):
        torch.save(
            {name: torch.nn.Parameter(tensor) for name, tensor in tensors.items()},
            tmp_path / "model.pt",
        )
        assert_same(read_weights(tmp_path / "model.pt"), weights)

    @pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
    @pytest.mark.parametrize("make", [torch.jit.script, torch.jit.trace])
    def test_torchscript(self, tensors, tmp_path, make):
        tensors = tensors | {"vocab_size": torch.tensor(7), "sixteen": torch.ones(2).half()}
        module = Counter(tensors)
        if make is torch.jit.trace:
            del module.tied_too  # which it refuses
        scripted = make(module, torch.ones(())) if make is torch.jit.trace else make(module)
        torch.jit.save(scripted, tmp_path / "model.pt")
        found = read_weights(tmp_path / "model.pt")
        assert found["sixteen"].dtype == np.float32
        expected = torch.jit.load(tmp_path / "model.pt").state_dict()
        single = {"sixteen": expected["sixteen"].float()}
        assert_same(found, {name: t.numpy() for name, t in (expected | single).items()})

    def test_code_is_refused_and_not_run(self, tensors, tmp_path):
        torch.save(tensors | {"evil": Dangerous(tmp_path / "ran")}, tmp_path / "model.pt")
        with pytest.raises(ConversionError, match=r"model\.pt holds more than weights"):
            read_weights(tmp_path / "model.pt")
        assert not (tmp_path / "ran").exists()

    def test_whole_modules_are_refused(self, tensors, tmp_path):
        torch.save(torch.nn.Linear(2, 3), tmp_path / "model.pt")
        with pytest.raises(ConversionError, match="holds more than weights"):
            read_weights(tmp_path / "model.pt")

    @pytest.mark.parametrize("content", [[], {}, {"epoch": 3}, {"state_dict": {}}, torch.ones(2)])
    def test_no_state_dict(self, tmp_path, content):
        torch.save(content, tmp_path / "model.pt")
        with pytest.raises(ConversionError, match="holds no state dict"):
            read_weights(tmp_path / "model.pt")

    @pytest.mark.parametrize(
        "content", [b"", b"no pickle", pickle.dumps({"a": 1}, protocol=2)[:-4]]
    )
    def test_damage_names_the_file(self, tmp_path, content):
        path = tmp_path / "model.pt"
        path.write_bytes(content)
        with pytest.raises(ConversionError, match=r"model\.pt"):
            read_weights(path)

    @pytest.mark.parametrize("content", [b"garbage", b"no pickle", pickle.dumps({"a": 1})[:-4]])
    def test_damage_is_not_called_code(self, tmp_path, content):
        path = tmp_path / "model.pt"
        path.write_bytes(content)
        with pytest.raises(ConversionError, match="is damaged, or no file of torch"):
            read_weights(path)

    def test_files_before_torch_1_6_are_to_be_saved_again(self, tensors, tmp_path):
        torch.save(tensors, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
        with pytest.raises(ConversionError, match=r"old\.pt .* before its version 1\.6 .* again"):
            read_weights(tmp_path / "old.pt")

    @pytest.mark.parametrize("protocol", [2, 4])
    def test_code_without_torch_around_it(self, tmp_path, protocol):
        dangerous = Dangerous(tmp_path / "ran")
        (tmp_path / "model.pt").write_bytes(pickle.dumps({"a": dangerous}, protocol))
        with pytest.raises(ConversionError, match="no archive"):
            read_weights(tmp_path / "model.pt")
        assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
@pytest.mark.parametrize("kind", ["safetensors", "pt", "index"])
def test_wrappers_of_torch_are_taken_off_all_names(weights, tensors, tmp_path, prefix, kind):
    wrapped = {prefix + name: array for name, array in weights.items()}
    path = tmp_path / f"model.{kind}"
    if kind == "pt":
        torch.save({prefix + name: tensor for name, tensor in tensors.items()}, path)
    else:
        size = 70 if kind == "index" else None
        *_, path = write_safetensors(tmp_path, wrapped, "model", max_bytes=size)
    assert_same(read_weights(path), weights)


def test_a_name_that_only_begins_like_a_wrapper_stays(weights, tmp_path):
    (path,) = write_safetensors(tmp_path, weights | {"module.a": np.ones(1)}, "model")
    assert "module.a" in read_weights(path)


@pytest.mark.parametrize("name", ["model.npz", "model.h5", "model", "model.msgpack"])
def test_other_files_are_refused(tmp_path, name):
    with pytest.raises(ConversionError, match="is no file of weights"):
        read_weights(tmp_path / name)
