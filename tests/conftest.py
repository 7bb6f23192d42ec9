"""Eight fake CPU devices and quick compilation for all tests; must run before JAX starts."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

os.environ["JAX_PLATFORMS"] = "cpu"
# Threads of XLA's pool: with fewer than the devices wait for, collectives of several mesh axes lock
# each other out on a machine of two cores.
os.environ["NPROC"] = "32"
os.environ["XLA_FLAGS"] = " ".join(
    [
        "--xla_force_host_platform_device_count=8",
        "--xla_backend_optimization_level=0",  # tests compile much and compute little
    ]
)

settings.register_profile("suite", max_examples=40, deadline=None)  # deadlines depend on machines
settings.load_profile("suite")


@pytest.fixture(scope="session")
def shared_data():
    """Folder of the data sets that developers keep outside the repository."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("KGCLIP_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no real photographs in {folder}; set KGCLIP_DATA")
    return folder
