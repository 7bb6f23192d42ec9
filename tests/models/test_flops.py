"""Peaks of devices, by their exact names."""

from unittest.mock import Mock

import jax
import pytest

from kgclip_jax.models.flops import peak_flops


@pytest.mark.parametrize(
    ("kind", "platform", "peak", "said"),
    [
        ("NVIDIA H100 PCIe", "gpu", 756e12, False),
        ("NVIDIA H100 80GB HBM3", "gpu", 989e12, False),
        ("NVIDIA H100 NVL", "gpu", 835e12, False),
        ("NVIDIA GH200 480GB", "gpu", 989e12, False),
        ("NVIDIA GH200 144G HBM3e", "gpu", 989e12, False),
        ("NVIDIA B200", "gpu", 2250e12, False),
        ("NVIDIA GB200", "gpu", 2500e12, False),
        ("NVIDIA B200 PCIe", "gpu", None, True),
        ("NVIDIA A100-SXM4-80GB", "gpu", 312e12, False),
        ("TPU v5 lite", "tpu", 197e12, False),
        ("TPU v5", "tpu", 459e12, False),
        ("NVIDIA H100", "gpu", None, True),
        ("TPU v9", "tpu", None, True),
        ("cpu", "cpu", None, False),
    ],
)
def test_a_peak_belongs_to_one_name_and_unknown_ones_are_said(kind, platform, peak, said, caplog):
    assert peak_flops(Mock(spec=jax.Device, device_kind=kind, platform=platform)) == peak
    assert (f"the peak of '{kind}' is not known" in caplog.text) == said
