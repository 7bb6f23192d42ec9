"""Eight fake CPU devices and quick compilation for all tests; must run before JAX starts."""

import gc
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings

os.environ["JAX_PLATFORMS"] = "cpu"
# Threads of XLA's pool: with fewer than the devices wait for, collectives of several mesh axes lock
# each other out on a machine of two cores.
os.environ["NPROC"] = "32"
os.environ["XLA_FLAGS"] = " ".join(
    [
        "--xla_force_host_platform_device_count=8",
        # Tests compile much and compute little.
        "--xla_backend_optimization_level=0",
        "--xla_cpu_use_fusion_emitters=false",
        "--xla_llvm_disable_expensive_passes=true",
        "--xla_cpu_parallel_codegen_split_count=1",  # the cores are busy with other tests
        "--xla_cpu_emitter_verification_level=0",
    ]
)
os.environ["JAX_TRACEBACK_IN_LOCATIONS_LIMIT"] = "0"  # tracing spends its time on stack frames

# Programs that are equal are compiled once, whichever process jits them; with a size the cache has
# a lock.
if "PYTEST_XDIST_WORKER" not in os.environ:
    _compiled = TemporaryDirectory()
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _compiled.name
    os.environ["JAX_COMPILATION_CACHE_MAX_SIZE"] = str(2**34)
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.2"

# Traced programs are millions of objects that live long: looking at them again takes a twentieth.
gc.set_threshold(100_000, 50, 50)

settings.register_profile("suite", max_examples=40, deadline=None)  # deadlines depend on machines
settings.load_profile("suite")


LONG = ("launch", "training", "test_run.py")


def pytest_collection_modifyitems(items):
    """Take the long files first, so that no worker is alone with one at the end."""
    items.sort(key=lambda item: item.path.relative_to(Path(__file__).parent).parts[0] not in LONG)


@pytest.fixture(scope="session")
def shared_data():
    """Folder of the data sets that developers keep outside the repository."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("KGCLIP_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no real photographs in {folder}; set KGCLIP_DATA")
    return folder
