"""The processes of a run on several hosts: found by JAX, connected, and ended together.

Which process this is, of how many, is found in three variables of the environment, or else by SLURM
or a Cloud TPU pod, as JAX finds it. One process alone connects to nothing.

A process that fails would leave the others waiting for it: it tells them why through JAX's
coordination service, and all of them end. One that is killed is missed sooner or later: sockets
break, or its heartbeats do, after HEARTBEAT seconds.
"""

import json
import logging
import os
import re
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from typing import Any, NoReturn

import jax
from jax._src.clusters import ClusterEnv
from jax._src.distributed import global_state

from kgclip_jax.errors import ConfigError, UserError

ADDRESS, COUNT, INDEX = "JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"
CLUSTERS = {"slurm": "SLURM", "gketpu": "the Cloud TPU pod", "gcetpu": "the Cloud TPU pod"}
"""JAX's name of each way to find processes, and ours."""

PATIENCE = 300  # seconds that processes wait for each other at the start
HEARTBEAT = 60  # seconds without a sign of life after which a process is given up
LINGER = 2.0  # seconds in which others can still hear why this process ends
_FOREVER = 10 * 365 * 24 * 3600 * 1000  # milliseconds

# In the errors of what connects processes: JAX's collectives on CPUs and GPUs, and its service.
_BROKEN = re.compile(r"\b(Gloo|NCCL|UNAVAILABLE|DEADLINE_EXCEEDED)\b")
_FAILURE, _COUNT = "kgclip_jax/failure", "kgclip_jax/count"  # keys of the coordination service


@dataclass(frozen=True)
class Place:
    """Which process this is, of how many, who said so, and by which of JAX's ways."""

    index: int
    count: int
    found_by: str
    method: str

    def __str__(self) -> str:
        return f"process {self.index} of {self.count}"


def find_place() -> Place | None:
    """Look who this process is; None where it is alone.

    Raises:
        ConfigError: the variables are incomplete or make no sense, or SLURM or the pod does not say
            who this process is.
    """
    given = {name: os.environ[name] for name in (ADDRESS, COUNT, INDEX) if os.environ.get(name)}
    if COUNT in given or INDEX in given:
        return _from_variables(given)
    for cluster in ClusterEnv._cluster_types:
        if cluster.name in CLUSTERS and cluster.is_env_present():
            return _from_cluster(cluster)
    return _from_variables(given) if given else None


def _from_variables(given: Mapping[str, str]) -> Place | None:
    numbers = {name: given[name] for name in (COUNT, INDEX) if name in given}
    for name, text in numbers.items():
        if not re.fullmatch(r"\d+", text, re.ASCII):
            raise ConfigError(f"{name} is {text!r}, which is no number of processes")
    if numbers.get(COUNT) == "1":
        return None
    if missing := {ADDRESS, COUNT, INDEX} - given.keys():
        raise ConfigError(
            f"{' and '.join(given)} set, and {' and '.join(sorted(missing))} not: several "
            f"processes need all three; one alone needs none of them, or {COUNT}=1"
        )
    place = Place(int(given[INDEX]), int(given[COUNT]), COUNT, "deactivate")
    if place.index >= place.count:
        raise ConfigError(
            f"{INDEX} is {place.index} and {COUNT} {place.count}: processes are counted from 0"
        )
    if not re.fullmatch(r".+:\d+", given[ADDRESS]):
        raise ConfigError(f"{ADDRESS} is {given[ADDRESS]!r}, not HOST:PORT of process 0")
    return place


def _from_cluster(cluster: type[ClusterEnv]) -> Place | None:
    name = CLUSTERS[cluster.name]
    try:
        count = cluster.get_process_count()
        return None if count == 1 else Place(cluster.get_process_id(), count, name, cluster.name)
    except Exception as error:  # whatever a strange environment or a metadata server leads to
        raise ConfigError(
            f"{name} does not say which process this is ({error!r}): set {ADDRESS}, {COUNT} and "
            f"{INDEX}, or {COUNT}=1 for one process alone"
        ) from error


@contextmanager
def joined(patience: float = PATIENCE) -> Iterator[None]:
    """Connect the processes of a run; whatever is raised inside ends all of them.

    What processes but the first print to standard output is not shown, nor what they warn of. Exit
    codes are 2 after a UserError, 143 after a signal, otherwise 1.

    Args:
        patience: seconds to wait for the others at the start.

    Raises:
        ConfigError: see `find_place`.
    """
    place = find_place()
    if place is None:
        yield
        return
    ends = _Ends(place)
    try:
        _connect(place, patience, ends)
        here, all_of_them = jax.local_device_count(), jax.device_count()
        print(f"{place}, found by {place.found_by}: {here} of {all_of_them} devices", flush=True)
        with ExitStack() as stack:
            if place.index:
                logging.disable(logging.WARNING)
                stack.enter_context(redirect_stdout(stack.enter_context(open(os.devnull, "w"))))
            yield
    except BaseException as error:
        ends.fail(error)
    ends.finish()


def _connect(place: Place, patience: float, ends: "_Ends") -> None:
    """Wait until all processes are there; refuse those of another number of processes."""
    timer = threading.Timer(patience, ends.miss, [patience])
    timer.daemon = True
    timer.start()
    # JAX's own service for preemption takes a first SIGTERM as a notice and goes on, which would
    # need two to end a process that is not in its training loop.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(
            num_processes=place.count,
            process_id=place.index,
            local_device_ids=[] if has_its_host_alone(place) else None,
            cluster_detection_method=place.method,
            initialization_timeout=int(patience) + 60,  # JAX's own end of patience is an abort
            heartbeat_timeout_seconds=HEARTBEAT,
        )
    except Exception as error:
        raise ConfigError(f"the processes cannot be connected: {error}") from error
    ends.watch()
    client = _service()
    if place.index == 0:
        client.key_value_set(_COUNT, str(place.count))
    elif (count := client.blocking_key_value_get(_COUNT, _FOREVER)) != str(place.count):
        raise ConfigError(f"process 0 is one of {count}: launch all of them as so many")
    timer.cancel()


def _service() -> Any:
    """Return JAX's client of the coordination service, once there is one."""
    return global_state.client


def has_its_host_alone(place: Place) -> bool:
    """Tell whether SLURM has started one task a node, which then has all of its devices.

    JAX gives the n-th task of a node the n-th device, and would leave the others idle. Elsewhere a
    process has all devices that it sees, unless JAX_LOCAL_DEVICE_IDS names some.
    """
    tasks = os.environ.get("SLURM_STEP_TASKS_PER_NODE", "")
    named = "JAX_LOCAL_DEVICE_IDS" in os.environ
    return place.method == "slurm" and not named and bool(re.fullmatch(r"1(\(x\d+\))?", tasks))


class _Ends:
    """How a process of several ends: once, and not before it has told the others why."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._once = threading.Lock()  # never released: who comes second waits for the exit
        self._finished = False
        self._watcher: threading.Thread | None = None

    def watch(self) -> None:
        """Wait in the background for what another process may have to tell."""
        self._watcher = threading.Thread(target=self._listen, daemon=True)
        self._watcher.start()

    def _listen(self) -> None:
        try:
            told = json.loads(_service().blocking_key_value_get(_FAILURE, _FOREVER))
        except Exception:
            if self._finished:
                return
            told = {"code": 1, "line": "process 0 does not answer any more; it says why"}
        self._exit(**told, linger=self._place.index == 0)

    def miss(self, patience: float) -> None:
        """End because others have not come; they may yet, so that trying again makes sense."""
        self._exit(
            1,
            f"{self._place}, found by {self._place.found_by}, has waited {patience:g} s for the "
            f"others at {global_state.coordinator_address}: see that all {self._place.count} are "
            "launched, and can reach process 0 there",
            linger=False,
        )

    def fail(self, error: BaseException) -> NoReturn:
        """End because of an error here."""
        code, line = described(error)
        told: dict[str, Any] = {"code": code, "line": f"{self._place}: {line}"}
        if self._watcher is not None:
            with suppress(Exception):  # another one was first to tell, or the service is gone
                _service().key_value_set(_FAILURE, json.dumps(told))
        self._exit(**told, linger=True)

    def _exit(self, code: int, line: str, *, linger: bool) -> NoReturn:
        self._once.acquire()
        print(f"error: {line}", file=sys.stderr, flush=True)
        if linger:
            time.sleep(LINGER)
        # An orderly exit waits for the others, who wait for this process.
        os._exit(code)

    def finish(self) -> None:
        """End well, when all have come so far."""
        self._finished = True
        jax.distributed.shutdown()
        if self._watcher is not None:
            self._watcher.join()


def described(error: BaseException) -> tuple[int, str]:
    """Return the exit code of an error and what to say of it; a traceback of one of the code."""
    for cause in _causes(error):  # what is closed then raises errors of its own
        if _BROKEN.search(str(cause)):
            return 1, f"another process is gone, or cannot be reached ({cause})"
    if isinstance(error, UserError):
        return 2, str(error)
    if isinstance(error, KeyboardInterrupt):
        return 143, "stopped by a signal"
    traceback.print_exception(error)
    return 1, f"{type(error).__name__}: {error}"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
