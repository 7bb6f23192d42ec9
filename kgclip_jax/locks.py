"""One folder, one writer."""

import fcntl
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kgclip_jax.errors import UserError
from kgclip_jax.files import writing

LOCK = ".lock"

_logger = logging.getLogger(__name__)


@contextmanager
def sole_use(folder: Path) -> Iterator[None]:
    """Hold a folder, made if it is not there, against other processes that would write to it too.

    The lock is the kernel's (flock of a file in the folder, over NFS too), which takes it back from
    a process that dies, however it dies: there are no stale locks.

    Raises:
        UserError: another process holds it, or the disk refuses.
    """
    path = folder / LOCK
    with writing(path):
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = _open_locked(path)
        os.truncate(path, 0)
        os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode())
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _open_locked(path: Path) -> int:
    """Open a file that no other process has locked, and lock it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(descriptor, 1000).decode(errors="replace")
            os.close(descriptor)
            raise UserError(
                f"{path.parent} is in use by {holder or 'another process'}: stop that one, or "
                "choose another folder"
            ) from error
        except OSError as error:
            told = "%s: %s on this file system; see that no other process writes there"
            _logger.warning(told, path, error.strerror)
            return descriptor
        if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
        os.close(descriptor)  # of a file that its holder has removed meanwhile
