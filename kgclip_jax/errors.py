"""Errors that a user can mend: each message names the file, line or key, and says what to do."""

from collections.abc import Sequence


class UserError(Exception):
    """Base of all errors caused by input; the launchers print them without a traceback."""


class ConfigError(UserError):
    """A configuration key or value is wrong."""


class DataError(UserError):
    """A data set on disk is missing, malformed, or has too many bad records."""


class CheckpointError(UserError):
    """A checkpoint cannot be written, or does not fit the model that should read it."""


class DivergedError(UserError):
    """Numbers of a run became infinite or NaN."""

    def __init__(self, step: int, saved: Sequence[int]) -> None:
        """Take the step where it was seen, and the checkpoints that there are."""
        kept = f"the checkpoint of step {saved[-1]} is the newest" if saved else "none is saved yet"
        back = " and --from-step=STEP, which goes back further" if saved else ""
        super().__init__(
            f"training diverged: not all numbers are finite at step {step}; {kept}. Launch again "
            f"with a lower config.optimizer.learning_rate{back}"
        )


class ConversionError(UserError):
    """Weights do not fit an architecture, or a format cannot hold a model."""


class BadRecord(Exception):
    """One training record cannot be used; the pipeline counts it and draws another in its place.

    Args:
        reason: in a few words, the same for all records with this fault: they are counted by it.
        place: the record, or its file.
        detail: more about it, for instance in the words of a decoder.
    """

    def __init__(self, reason: str, *, place: object = "", detail: object = "") -> None:
        super().__init__(": ".join(filter(None, [str(place), reason, str(detail)])))
        self.reason = reason
        self.place = str(place)
        self.detail = str(detail)

    def at(self, place: object) -> "BadRecord":
        """Return the same, of a record that is known."""
        return BadRecord(self.reason, place=place, detail=self.detail)
