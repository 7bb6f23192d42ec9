"""What descriptions may not ask for, and what formats cannot hold: each is named."""

import copy
import json
from dataclasses import replace

import pytest
import timm
import torch
from hypothesis import given
from hypothesis import strategies as st

from kgclip_jax.convert import open_clip_siglip
from kgclip_jax.convert.families import FAMILIES
from kgclip_jax.convert.family import differences
from kgclip_jax.convert.rules import weight_shapes
from kgclip_jax.errors import ConversionError
from kgclip_jax.models.presets import PRESETS, preset

BY_NAME = {family.name: family for family in FAMILIES}
CLIP, SIGLIP, VIT, TIMM, OPENAI = BY_NAME.values()
BASE = preset("ViT-B-32")
QUICK = preset("ViT-B-32-quickgelu")
BASE_SIGLIP = preset("SigLIP-B-16")
CONFIG, PROCESSOR, OPEN_CLIP = "config.json", "preprocessor_config.json", "open_clip_config.json"


def described(family, shape, file, key, value):
    """Describe a model after one setting of its files has been changed; "a.b" is nested."""
    files = copy.deepcopy(json.loads(json.dumps(family.files(shape))))
    settings = files[file]
    *path, last = key.split(".")
    for part in path:
        settings = settings.setdefault(part, {})
    settings[last] = value
    return family.describe(files)


def timm_siglip():
    """The nearest to SigLIP-B-16 that open_clip computes."""
    vision = BASE_SIGLIP.vision
    exact = replace(vision.transformer, activation="gelu_erf")
    return replace(BASE_SIGLIP, vision=replace(vision, transformer=exact))


class TestDescriptions:
    @pytest.mark.parametrize(
        ("key", "value", "message"),
        [
            ("vision_config.hidden_act", "relu", "vision_config.hidden_act must be one of"),
            ("vision_config.num_channels", 4, "num_channels must be one of 3, not 4"),
            ("vision_config.image_size", [224, 224], "vision_config.image_size must be a int"),
            ("vision_config.patch_size", 300, "holds no patch of patch_size 300"),
            ("vision_config.num_attention_heads", 7, "768 is not divisible by heads 7"),
            ("vision_config.num_attention_heads", 0, "768 is not divisible by heads 0"),
            ("text_config.eos_token_id", [1, 2], "text_config.eos_token_id must be a int"),
            ("text_config", "none", "text_config must be a TextConfig"),
            ("auto_map", {"AutoModel": "x.EVACLIPModel"}, "auto_map must be one of None"),
        ],
    )
    def test_huggingface_clip(self, key, value, message):
        with pytest.raises(ConversionError, match=rf"^config\.json: .*{message}"):
            described(CLIP, BASE, CONFIG, key, value)

    @pytest.mark.parametrize(
        ("key", "value", "message"),
        [
            ("vision_config.vision_use_head", False, "vision_use_head must be one of True"),
            ("text_config.projection_size", 512, "vision width 768 must equal the embedding 512"),
        ],
    )
    def test_huggingface_siglip(self, key, value, message):
        with pytest.raises(ConversionError, match=rf"^config\.json: .*{message}"):
            described(SIGLIP, BASE_SIGLIP, CONFIG, key, value)

    @pytest.mark.parametrize(
        ("key", "value", "message"),
        [
            ("do_resize", False, "do_resize must be one of True, not False"),
            ("do_rescale", False, "do_rescale must be one of True, not False"),
            ("do_normalize", False, "do_normalize must be one of True, not False"),
            ("rescale_factor", 1 / 127.5, "rescale_factor must be 1/255"),
            ("resample", 1, "resample must be one of 3, 2, not 1"),
            ("image_mean", [0.5], "image_mean must have 3 entries, not 1"),
            ("size", {"shortest_edge": 256}, "not the tower's image_size 224"),
            ("size", {"height": 224, "width": 200}, "not the tower's image_size 224"),
            ("crop_size", {"height": 200, "width": 200}, "is not the tower's 224"),
            ("do_center_crop", False, "do_center_crop is not true"),
        ],
    )
    def test_preprocessor(self, key, value, message):
        with pytest.raises(ConversionError, match=message):
            described(CLIP, BASE, PROCESSOR, key, value)

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("vision_cfg.ls_init_value", 1e-5),
            ("vision_cfg.attentional_pool", True),
            ("vision_cfg.qk_norm", True),
            ("vision_cfg.scale_fc", True),
            ("vision_cfg.block_type", "custom"),
            ("vision_cfg.rope", True),
            ("vision_cfg.layers", [3, 4, 6, 3]),
            ("vision_cfg.timm_model_name", "convnext_base"),
            ("vision_cfg.pool_type", "none"),
            ("text_cfg.hf_model_name", "roberta-base"),
            ("text_cfg.embed_cls", True),
            ("text_cfg.proj_type", "none"),
            ("text_cfg.pool_type", "first"),
            ("text_cfg.scaled_cosine_attn", True),
            ("text_cfg.act_kwargs", {"approximate": "sigmoid"}),
            ("text_cfg.act_kwargs", {"inplace": True}),
            ("multimodal_cfg", {"width": 512}),
        ],
    )
    def test_open_clip(self, key, value):
        with pytest.raises(ConversionError, match=rf"^open_clip_config\.json: model_cfg\.{key}"):
            described(VIT, BASE, OPEN_CLIP, f"model_cfg.{key}", value)

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("preprocess_cfg.resize_mode", "longest"),
            ("preprocess_cfg.interpolation", "random"),
            ("preprocess_cfg.mean", [0.5]),
            ("preprocess_cfg.mode", "L"),
        ],
    )
    def test_preprocessing_of_open_clip(self, key, value):
        with pytest.raises(ConversionError, match=rf"^open_clip_config\.json: {key} must"):
            described(VIT, BASE, OPEN_CLIP, key, value)

    @pytest.mark.parametrize("width", [0, 1000])
    def test_heads_of_no_or_too_many_features(self, width):
        with pytest.raises(ConversionError, match="head_width must be at most the width"):
            described(VIT, BASE, OPEN_CLIP, "model_cfg.vision_cfg.head_width", width)

    def test_two_activations_at_once(self):
        with pytest.raises(ConversionError, match="quick_gelu takes no act_kwargs"):
            described(VIT, QUICK, OPEN_CLIP, "model_cfg.text_cfg.act_kwargs", {})

    @pytest.mark.parametrize(
        ("key", "value", "message"),
        [
            ("timm_model_name", "vit_base_patch16_siglip_225", "did you mean vit_base_patch16_sig"),
            ("timm_model_name", "vit_base_patch16_siglip_gap_224", "is not known"),
            ("image_size", 256, "siglip_224 takes pictures of 224 pixels, not 256"),
            ("timm_pool", "avg", "timm_pool must be one of map"),
            ("timm_proj", "linear", "timm_proj must be one of none"),
        ],
    )
    def test_open_clip_siglip(self, key, value, message):
        with pytest.raises(ConversionError, match=message):
            described(TIMM, timm_siglip(), OPEN_CLIP, f"model_cfg.vision_cfg.{key}", value)

    def test_resnets_of_openai(self):
        shapes = {"visual.layer1.0.conv1.weight": (64, 64, 1, 1), "input_resolution": ()}
        with pytest.raises(ConversionError, match="ResNets are not known here"):
            OPENAI.describe({"shapes of the weights": shapes})


class TestSettingsThatMeanNothing:
    def test_old_files_of_huggingface(self):
        shape = described(CLIP, BASE, CONFIG, "text_config.num_beams", 1)
        assert shape == described(CLIP, BASE, CONFIG, "logit_scale_init_value", 2.6592)

    def test_absent_settings_have_the_defaults_of_transformers(self):
        assert CLIP.describe({CONFIG: {"model_type": "clip"}}) == QUICK

    @pytest.mark.parametrize("value", [None, {"hidden_size": 768}])
    def test_second_version_of_settings(self, value):
        """As in openai/clip-vit-large-patch14, with all defaults of what it does not say."""
        files = {CONFIG: {"text_config": {"hidden_size": 640}, "text_config_dict": value}}
        width = 640 if value is None else 768
        assert CLIP.describe(files).text.transformer.width == width

    @pytest.mark.parametrize("size", [224, {"shortest_edge": 224}])
    def test_old_preprocessors(self, size):
        old = {"size": size, "crop_size": 224, "do_center_crop": True, "resample": 3}
        files = dict(CLIP.files(BASE)) | {PROCESSOR: old}
        assert CLIP.describe(files) == BASE

    def test_settings_of_a_processor_of_transformers_5(self):
        files = dict(CLIP.files(BASE))
        processor = files.pop(PROCESSOR) | {"resample": 2}
        files["processor_config.json"] = {"image_processor": processor}
        assert CLIP.describe(files).vision.interpolation == "bilinear"

    @pytest.mark.parametrize(
        "key", ["vision_cfg.patch_dropout", "text_cfg.hf_tokenizer_name", "custom_text"]
    )
    def test_training_and_tokenizer_of_open_clip(self, key):
        assert described(VIT, BASE, OPEN_CLIP, f"model_cfg.{key}", "x") == BASE

    def test_model_alone(self):
        """As in the `model_configs` of the library."""
        model = VIT.files(BASE)[OPEN_CLIP]["model_cfg"]
        assert VIT.describe({OPEN_CLIP: model}) == BASE


def refused(family, shape):
    with pytest.raises(ConversionError) as error:
        family.files(shape)
    return str(error.value)


class TestWhatFormatsHold:
    @pytest.mark.parametrize("name", [name for name in PRESETS if name[0].isupper()])
    def test_presets(self, name):
        shape = PRESETS[name]
        held = {family.name for family in FAMILIES if _holds(family, shape)}
        if name.startswith("SigLIP"):
            assert held == {"Hugging Face SigLIP"}  # timm computes another GELU for these
        else:
            openai = {"OpenAI CLIP"} if name.endswith("quickgelu") else set()
            assert held == {"Hugging Face CLIP", "open_clip ViT"} | openai

    def test_every_property_is_named(self):
        vision = replace(BASE.vision, pooling="mean", class_token=False, patch_bias=True)
        text = replace(BASE.text, projection_bias=True, causal=False)
        message = refused(CLIP, replace(BASE, vision=vision, text=text))
        assert message.splitlines()[1:] == [
            "  text.causal: False -> True",
            "  text.projection_bias: True -> False",
            "  vision.class_token: False -> True",
            "  vision.patch_bias: True -> False",
            "  vision.pooling: 'mean' -> 'class'",
        ]

    def test_activations_of_two_towers(self):
        text = replace(
            BASE.text, transformer=replace(BASE.text.transformer, activation="gelu_tanh")
        )
        mixed = replace(BASE, text=text)
        assert _holds(CLIP, mixed)
        assert _holds(VIT, mixed)
        quick = replace(text, transformer=replace(text.transformer, activation="quick_gelu"))
        assert "text.transformer.activation" in refused(VIT, replace(BASE, text=quick))

    def test_hidden_widths_of_openai(self):
        transformer = replace(QUICK.vision.transformer, mlp_width=1000, heads=24)
        shape = replace(QUICK, vision=replace(QUICK.vision, transformer=transformer))
        assert _holds(VIT, shape)
        message = refused(OPENAI, shape)
        assert "vision.transformer.heads: 24 -> 12" in message
        assert "vision.transformer.mlp_width: 1000 -> 3072" in message

    def test_small_widths_of_openai(self):
        assert "a width of 16 is too small" in refused(OPENAI, preset_of_width(16))

    def test_a_logit_bias_is_left_over(self):
        with_bias = replace(QUICK, logit_bias=-10.0)
        for family in (CLIP, VIT, OPENAI):
            assert _holds(family, with_bias)
            names = weight_shapes(family.rules(with_bias), with_bias).keys()
            assert ("logit_bias" in names) == (family is VIT)

    def test_siglip_without_a_logit_bias(self):
        shape = replace(BASE_SIGLIP, logit_bias=None)
        assert "logit_bias: False -> True" in refused(SIGLIP, shape)

    def test_the_nearest_trunk_is_named(self):
        message = refused(TIMM, preset("SigLIP-So400m-14"))
        assert message.startswith("open_clip's vit_so400m_patch14_siglip_224 cannot hold")
        assert message.splitlines()[1:] == [
            "  vision.transformer.activation: 'gelu_tanh' -> 'gelu_erf'"
        ]

    @given(st.integers(1, 128), st.integers(1, 8192))
    def test_any_hidden_width_in_open_clip(self, head_width, hidden):
        """Its files hold the ratio of two widths, a float."""
        transformer = replace(
            BASE.vision.transformer, width=16 * head_width, heads=16, mlp_width=hidden
        )
        shape = replace(BASE, vision=replace(BASE.vision, transformer=transformer))
        assert VIT.describe(VIT.files(shape)) == shape


def preset_of_width(width):
    transformer = replace(QUICK.text.transformer, width=width, mlp_width=4 * width, heads=1)
    return replace(QUICK, text=replace(QUICK.text, transformer=transformer))


def _holds(family, shape):
    try:
        family.files(shape)
    except ConversionError:
        return False
    return True


class TestDifferences:
    def test_none(self):
        assert differences(BASE, BASE) == []

    def test_training_is_not_compared(self):
        assert differences(BASE, replace(BASE, logit_scale=3.0, max_logit_scale=None)) == []

    def test_equal_poolings(self):
        highest = replace(BASE.text, pooling="argmax")
        assert differences(BASE, replace(BASE, text=highest)) == []
        longer = replace(highest, vocabulary=50_000)
        lines = differences(
            replace(BASE, text=replace(longer, pooling="eos")), replace(BASE, text=longer)
        )
        assert "  text.pooling: 'eos' -> 'argmax'" in lines

    def test_ids_that_are_not_looked_for(self):
        text = replace(BASE_SIGLIP.text, eos_id=7)
        assert differences(BASE_SIGLIP, replace(BASE_SIGLIP, text=text)) == []

    def test_lines(self):
        assert differences(BASE, QUICK) == [
            "  text.transformer.activation: 'gelu_erf' -> 'quick_gelu'",
            "  vision.transformer.activation: 'gelu_erf' -> 'quick_gelu'",
        ]

    def test_a_logit_bias_is_a_parameter(self):
        with_bias = replace(BASE, logit_bias=-10.0)
        assert differences(BASE, with_bias) == ["  logit_bias: False -> True"]
        assert differences(with_bias, replace(BASE, logit_bias=-3.0)) == []


@pytest.mark.parametrize("name", open_clip_siglip.TRUNKS)
def test_trunks_are_as_timm_has_them(name):
    trunk = open_clip_siglip.TRUNKS[name]
    with torch.device("meta"):  # shapes without numbers
        tower = timm.create_model(name, num_classes=0, global_pool="map")
    transformer, block = trunk.transformer, tower.blocks[0]
    approximate = {"gelu_erf": "none", "gelu_tanh": "tanh"}[transformer.activation]
    for mlp in (block.mlp, tower.attn_pool.mlp):
        assert getattr(mlp.act, "approximate", "tanh") == approximate  # timm's own has but one
        assert mlp.fc1.out_features == transformer.mlp_width
    for norm in (block.norm1, block.norm2, tower.norm, tower.attn_pool.norm):
        assert norm.eps == transformer.norm_eps
        assert norm.normalized_shape == (transformer.width,)
    assert len(tower.blocks) == transformer.depth
    assert block.attn.num_heads == tower.attn_pool.num_heads == transformer.heads
    assert tower.patch_embed.patch_size == (trunk.patch_size,) * 2
    assert tower.patch_embed.img_size == (trunk.image_size,) * 2
