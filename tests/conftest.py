"""Eight fake CPU devices and quick compilation for all tests; must run before JAX starts."""

import os

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = " ".join(
    [
        "--xla_force_host_platform_device_count=8",
        "--xla_backend_optimization_level=0",  # tests compile much and compute little
    ]
)
