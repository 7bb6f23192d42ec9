"""Opening models: folders, prefixes, single files, the hub; what is chosen, and what is refused."""

import json
import re
from dataclasses import replace

import jax
import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from kgclip_jax.convert.family import differences
from kgclip_jax.convert.pretrained import EXTRA_FILE, open_pretrained
from kgclip_jax.convert.weights import write_safetensors
from kgclip_jax.errors import ConversionError
from tests.convert.saved_twins import as_folder, assert_is, converted, write_files
from tests.convert.twins import TWINS, huggingface_clip, know_tiny_trunks, open_clip_twin


@pytest.fixture(autouse=True)
def _tiny_trunks(monkeypatch):
    know_tiny_trunks(monkeypatch)


def assert_refused(source, message, **options):
    with pytest.raises(ConversionError, match=message):
        open_pretrained(source, **options)


@pytest.fixture
def clip():
    return huggingface_clip()


@pytest.fixture
def vit():
    """Of the same dimensions as `clip`, but with another preprocessing."""
    return open_clip_twin()


class TestFolders:
    @pytest.mark.parametrize(
        "name", ["Hugging Face SigLIP", "open_clip ViT, custom_text", "open_clip SigLIP"]
    )
    def test_every_family(self, name, tmp_path):
        twin = TWINS[name]()
        folder = as_folder(twin, tmp_path / "model")
        pretrained = open_pretrained(folder)
        assert_is(pretrained, twin)
        assert pretrained.origin == str(folder)

    def test_as_transformers_saves_it(self, clip, tmp_path):
        clip.model.save_pretrained(tmp_path, max_shard_size="30KB")
        assert (tmp_path / "model.safetensors.index.json").exists()
        preprocessor = clip.files["preprocessor_config.json"]
        (tmp_path / "preprocessor_config.json").write_text(json.dumps(preprocessor))
        assert_is(open_pretrained(tmp_path), clip)

    def test_prefix_of_open_clip(self, vit, tmp_path):
        folder = as_folder(vit, tmp_path / "model")
        assert_is(open_pretrained(f"local-dir:{folder}"), vit)

    def test_both_libraries_in_one_folder(self, clip, vit, tmp_path):
        as_folder(vit, as_folder(clip, tmp_path / "both"))
        assert_is(open_pretrained(tmp_path / "both"), clip)
        assert_is(open_pretrained(f"local-dir:{tmp_path / 'both'}"), vit)

    def test_safetensors_before_pickles(self, clip, vit, tmp_path):
        torch.save(clip.model.state_dict(), write_files(clip, tmp_path) / "pytorch_model.bin")
        assert_is(open_pretrained(tmp_path), clip)
        as_folder(vit, tmp_path)
        assert_is(open_pretrained(tmp_path), vit)

    def test_open_clip_with_the_file_name_of_transformers(self, vit, tmp_path):
        assert_is(open_pretrained(as_folder(vit, tmp_path / "model", "model")), vit)

    def test_old_buffers_are_ignored(self, clip, tmp_path):
        ids = {"text_model.embeddings.position_ids": np.arange(10)[None]}
        write_safetensors(write_files(clip, tmp_path), clip.weights() | ids, "model")
        assert_is(open_pretrained(tmp_path), clip)

    def test_half_precision(self, clip, tmp_path):
        half = {name: array.astype(np.float16) for name, array in clip.weights().items()}
        write_safetensors(write_files(clip, tmp_path), half, "model")
        params = open_pretrained(tmp_path).read()
        assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {np.dtype(np.float32)}
        _, precise = converted(clip)
        jax.tree.map(
            lambda mine, its: np.testing.assert_array_equal(mine, its.astype(np.float16)),
            params,
            precise,
        )

    def test_weights_that_do_not_fit_name_the_file(self, clip, tmp_path):
        weights = clip.weights()
        del weights["visual_projection.weight"]
        write_safetensors(write_files(clip, tmp_path), weights, "model")
        message = r"model\.safetensors does not hold the Hugging Face CLIP that is described:\n"
        with pytest.raises(ConversionError, match=message + "missing.*\n  visual_projection"):
            open_pretrained(tmp_path).read()


class TestRefusedFolders:
    def test_nothing_there(self, tmp_path):
        assert_refused(tmp_path / "absent" / "folder", "no such file or folder")

    def test_no_description(self, tmp_path):
        assert_refused(tmp_path, "is no model: .* 0 files of weights")

    def test_no_weights(self, clip, tmp_path):
        assert_refused(
            write_files(clip, tmp_path), "describes a Hugging Face CLIP, but has no model.safet"
        )

    def test_no_json(self, tmp_path):
        (tmp_path / "config.json").write_text("{")
        assert_refused(tmp_path, r"config\.json, line 1, column 2: not valid JSON")

    def test_no_object(self, tmp_path):
        (tmp_path / "open_clip_config.json").write_text("[1]")
        assert_refused(tmp_path, r"open_clip_config\.json: expected a JSON object")

    def test_variable_resolution(self, tmp_path):
        (tmp_path / "config.json").write_text('{"model_type": "siglip2"}')
        assert_refused(tmp_path, "NaFlex.* is not known here")

    def test_another_model(self, tmp_path):
        (tmp_path / "config.json").write_text('{"model_type": "bert"}')
        assert_refused(tmp_path, "is no model: its config.json has the model_type 'bert'")
        save_file({"bert.encoder.weight": np.ones(3)}, tmp_path / "model.safetensors")
        assert_refused(tmp_path, r"model\.safetensors does not .* model_type 'bert' \(known here")

    @pytest.mark.parametrize(
        "file", ["config.json", "preprocessor_config.json", "processor_config.json"]
    )
    def test_a_setting_that_cannot_be_had_names_the_file(self, clip, tmp_path, file):
        folder = as_folder(clip, tmp_path / "model")
        settings = {"size": {"shortest_edge": 7}}
        if file == "config.json":
            settings = clip.files[file] | {"vision_config": {"hidden_act": "relu"}}
        if file == "processor_config.json":
            settings = {"image_processor": settings}
            (folder / "preprocessor_config.json").unlink()
        (folder / file).write_text(json.dumps(settings))
        assert_refused(folder, f"^{folder / file}: ")
        assert_refused(folder / "model.safetensors", f"^{folder / file}: ")


class TestDefaultPreprocessing:
    @pytest.mark.parametrize(
        ("name", "defaults"),
        [
            ("Hugging Face CLIP, gelu", r"resize shortest, bicubic, mean \(0\.48145466, "),
            (
                "Hugging Face SigLIP",
                r"resize squash, bicubic, mean \(0\.5, 0\.5, 0\.5\), std \(0\.5",
            ),
        ],
    )
    def test_is_logged(self, name, defaults, tmp_path, caplog):
        folder = as_folder(TWINS[name](), tmp_path / "model")
        open_pretrained(folder)
        assert not caplog.messages
        (folder / "preprocessor_config.json").unlink()
        open_pretrained(folder)
        (line,) = caplog.messages
        assert re.match(f"{folder} has no preprocessor_config.json; .*{defaults}", line)

    @pytest.mark.parametrize("processor", [{}, {"image_processor": None}])
    def test_of_a_processor_without_pictures(self, processor, clip, tmp_path, caplog):
        folder = as_folder(clip, tmp_path / "model")
        (folder / "preprocessor_config.json").unlink()
        (folder / "processor_config.json").write_text(json.dumps(processor))
        open_pretrained(folder)
        assert len(caplog.messages) == 1


class TestFiles:
    def test_description_beside_it(self, vit, tmp_path):
        write_files(vit, tmp_path)
        torch.save({"state_dict": vit.model.state_dict()}, tmp_path / "epoch_7.pt")
        assert_is(open_pretrained(tmp_path / "epoch_7.pt"), vit)

    @pytest.mark.parametrize(
        "name", ["Hugging Face CLIP, gelu", "Hugging Face SigLIP", "open_clip ViT, quick_gelu"]
    )
    def test_architecture_given(self, name, tmp_path):
        twin = TWINS[name]()
        write_safetensors(tmp_path, twin.weights(), "weights")
        shape, _ = converted(twin)
        pretrained = open_pretrained(tmp_path / "weights.safetensors", shape=shape)
        assert_is(pretrained, twin)
        assert not pretrained.described

    def test_no_architecture(self, clip, tmp_path):
        write_safetensors(tmp_path, clip.weights(), "weights")
        message = r'it has no config\.json .*load\(SOURCE, shape=preset\("ViT-B-32"\)\)'
        assert_refused(tmp_path / "weights.safetensors", message)

    def test_another_architecture(self, vit, tmp_path):
        shape, _ = converted(vit)
        vision = replace(shape.vision, transformer=replace(shape.vision.transformer, depth=4))
        write_safetensors(tmp_path, vit.weights(), "weights")
        pretrained = open_pretrained(
            tmp_path / "weights.safetensors", shape=replace(shape, vision=vision)
        )
        with pytest.raises(ConversionError, match=r"missing weights:\n  visual.transformer.res.*3"):
            pretrained.read()

    def test_foreign_weights(self, vit, tmp_path):
        save_file({"bert.encoder.weight": np.ones(3)}, tmp_path / "bert.safetensors")
        shape, _ = converted(vit)
        assert_refused(tmp_path / "bert.safetensors", "of no family", shape=shape)

    def test_the_nearest_family_says_what_stands_against_it(self, clip, tmp_path):
        shape, _ = converted(clip)
        fixed = replace(shape, vision=replace(shape.vision, positions="sincos2d"))
        write_safetensors(tmp_path, clip.weights(), "weights")
        with pytest.raises(ConversionError) as refused:
            open_pretrained(tmp_path / "weights.safetensors", shape=fixed).read()
        assert str(refused.value).splitlines() == [
            f"{tmp_path / 'weights.safetensors'} does not hold the Hugging Face CLIP of the given "
            "shape:",
            "parameters that the format needs and the architecture lacks:",
            "  vision/positions",
        ]

    def test_a_description_of_something_else_beside_it(self, clip, vit, tmp_path):
        write_safetensors(write_files(clip, tmp_path), vit.weights(), "other")
        assert_refused(tmp_path / "other.safetensors", "description beside it is of other weights")
        (tmp_path / "tokenizer.json").write_text("is that other model's, too")
        shape, _ = converted(vit)
        pretrained = open_pretrained(tmp_path / "other.safetensors", shape=shape)
        assert_is(pretrained, vit)
        assert pretrained.tokenizers is None

    def test_names_of_the_other_wrapping(self, vit, tmp_path):
        text = ("token_embedding", "positional_embedding", "transformer", "ln_final", "text_proj")
        wrapped = {
            f"text.{name}" if name.startswith(text) else name: array
            for name, array in vit.weights().items()
        }
        write_safetensors(write_files(vit, tmp_path), wrapped, "open_clip_model")
        assert_is(open_pretrained(tmp_path), vit)
        write_safetensors(tmp_path, vit.weights() | wrapped, "open_clip_model")
        with pytest.raises(ConversionError, match=r"two names:\n .*ln_final\.bias"):
            open_pretrained(tmp_path).read()


class TestExtras:
    def test_a_logit_bias_beside_a_clip(self, clip, tmp_path):
        folder = as_folder(clip, tmp_path / "model")
        write_safetensors(folder, {"logit_bias": np.array(-9, np.float32)}, EXTRA_FILE[:-12])
        pretrained = open_pretrained(folder)
        shape, params = converted(clip)
        assert pretrained.shape.logit_bias is not None
        assert differences(shape, pretrained.shape) == ["  logit_bias: False -> True"]
        found = pretrained.read()
        assert found.pop("logit_bias") == -9
        jax.tree.map(np.testing.assert_array_equal, found, params)

    def test_other_heads_are_not_taken(self, clip, tmp_path, caplog):
        folder = as_folder(clip, tmp_path / "model")
        heads = {"knowledge/graph/kernel": np.ones((2, 3)), "knowledge/graph/bias": np.ones(3)}
        write_safetensors(folder, heads, EXTRA_FILE[:-12])
        assert_is(open_pretrained(folder), clip)
        names = "knowledge/graph/bias, knowledge/graph/kernel"
        assert caplog.messages == [f"{folder / EXTRA_FILE}: not taken, of no tower: {names}"]

    def test_a_logit_bias_of_another_shape(self, clip, tmp_path):
        folder = as_folder(clip, tmp_path / "model")
        write_safetensors(folder, {"logit_bias": np.zeros(2, np.float32)}, EXTRA_FILE[:-12])
        with pytest.raises(ConversionError, match=r"another shape:\n  logit_bias: expected \(\)"):
            open_pretrained(folder).read()
