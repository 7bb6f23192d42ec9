"""What a frozen teacher is, and the kinds that there are."""

from typing import Any, NamedTuple, Protocol, runtime_checkable

from kgclip_jax.models.dual_encoder import Model, Params
from kgclip_jax.schema import Registry

TEACHERS = Registry("teacher", {"dual_encoder": "kgclip_jax.frozen_teachers:DualEncoderTeacher"})


@runtime_checkable
class TeacherConfig(Protocol):
    """A frozen dataclass that is a teacher's entry in a config."""

    @property
    def kind(self) -> str:
        """Its name in `TEACHERS`."""
        ...

    def open(self) -> Any:
        """Find the trained model, a `Trained`. Raises UserError when there is none."""
        ...


class Teacher(NamedTuple):
    """A frozen model with its parameters, as arrays on the host."""

    model: Model
    params: Params
    origin: str
