"""What of the user's is in memory, beside a configuration that can name files only: one call, whatever the form."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from leaq.data.memory import in_memory
from leaq.errors import InvalidInput
from leaq.pipeline.cell import IN_MEMORY, PLACES, AuditConfig
from leaq.types import Checkpoints

HELD = ("checkpoints", "calibration", "tokenizer")
"""What only memory holds: no configuration has a name for it."""


@dataclass(frozen=True)
class Given:
    """What of the user's is in memory; under the names that a configuration has for what it can name.

    Attributes
    ----------
    data : records, a data frame or a pair ``(X, y)``; or a finished model.
    members, nonmembers : see `leaq.pipeline.cell.Origin`; of a released model's records also a mask, or row numbers.
    model : builds a network. recipe : trains one, of (records, seed), or an unfitted scikit-learn
        estimator. released : the module that is released.
    public : public records. loss : of (outputs, targets). shipped : models quantized elsewhere, by name.
    reference : a language model that has not seen the members.
    checkpoints : weights of a finished model along its training (`leaq.Recorder`), batch (1, c): candidates for r, and
        risk from one run. A configuration names the folder of a recorder as `recorded`.
    calibration : records that calibrated quantizers of a finished model look at where they are not the members.
    tokenizer : turns texts into tokens; makes the audit of a finished model that of a language model.

    Raises
    ------
    InvalidInput
        If `shipped` is no mapping of names to models, or `checkpoints` are none.
    """

    data: Any = None
    members: Any = None
    nonmembers: Any = None
    model: Any = None
    recipe: Any = None
    released: Any = None
    public: Any = None
    loss: Callable[..., Any] | None = None
    shipped: Mapping[str, Any] | None = None
    reference: Any = None
    checkpoints: Checkpoints | None = None
    calibration: Any = None
    tokenizer: Any = None

    def __post_init__(self) -> None:
        for name, kind, wanted in (
            ("shipped", Mapping | None, "map names to models, such as {'q4': model}"),
            ("checkpoints", Checkpoints | None, "be those of a recorder (recorder.checkpoints)"),
        ):
            if not isinstance(getattr(self, name), kind):
                raise InvalidInput(f"{name} must {wanted}. Found a {type(getattr(self, name)).__name__}.")

    @property
    def finished(self) -> bool:
        """Whether a finished model is given, and no records."""
        return self.data is not None and not in_memory(self.data)


def request(subject: Any, options: Mapping[str, Any]) -> tuple[AuditConfig, Given]:
    """Return the configuration of an audit and what of it is in memory, from whatever forms it was given in.

    A path is a path and a specification a specification, as on the command line; anything else is held, and the
    configuration names it by what it is.

    Parameters
    ----------
    subject : a name, a file, an `AuditConfig`, records in memory, or a finished model.
    options : fields of `AuditConfig`, of which those that name files or code may be what these hold.

    Raises
    ------
    InvalidInput
        With every option at fault.

    Examples
    --------
    >>> config, given = request(([[0.0], [1.0]], [0, 1]), {"quantizers": "sign", "model": "nets.py:make"})
    >>> config.source, config.model, given.model
    ('tuple in memory', 'nets.py:make', None)
    """
    options = _recorded(options)
    held: dict[str, Any] = {name: options[name] for name in HELD if options.get(name) is not None}
    named = {name: value for name, value in options.items() if name not in HELD}
    for name in (*PLACES[1:], "shipped"):
        value = named.pop(name, None)
        text = _named(name, value)
        if text is None:
            held[name] = value
        if value is not None:
            named[name] = _called(value) if text is None else text
    if isinstance(subject, AuditConfig):
        config = subject.but(**named) if named else subject
    elif isinstance(subject, str) or hasattr(subject, "__fspath__"):
        config = AuditConfig(source=os.fspath(subject), **named)
    else:
        held["data"] = subject
        config = AuditConfig(source=f"{type(subject).__name__}{IN_MEMORY}", **named)
    return config, Given(**held)


def _recorded(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options with a recording under one name: `recorded` if it is a folder, `checkpoints` if in memory.

    Either name may be given either; `InvalidInput` if both are.
    """
    named = [options.get(name) for name in ("recorded", "checkpoints")]
    found = [value for value in named if value is not None and value != ""]
    if len(found) > 1:
        raise InvalidInput("A recording is one folder or the checkpoints in memory. Found both. Name one of them.")
    rest = {name: value for name, value in options.items() if name not in ("recorded", "checkpoints")}
    if not found:
        return rest
    folder = isinstance(found[0], str) or hasattr(found[0], "__fspath__")
    return {**rest, "recorded" if folder else "checkpoints": found[0]}


def _named(name: str, value: Any) -> Any:
    """Return how a configuration names a value; None if it cannot."""
    if value is None or isinstance(value, str):
        return value or ""
    if hasattr(value, "__fspath__"):
        return os.fspath(value)
    if name == "model" and callable(getattr(value, "spec", None)):
        return value.spec()
    if name != "shipped":
        return None
    if isinstance(value, tuple | list):
        return tuple(value)
    places = value.items() if isinstance(value, Mapping) else ()
    if places and all(isinstance(one, str) or hasattr(one, "__fspath__") for _, one in places):
        return tuple(f"{key}={os.fspath(one)}" for key, one in places)
    return None


def _called(value: Any) -> Any:
    if isinstance(value, Mapping):
        return tuple(f"{name}={_called(one)}" for name, one in value.items())
    return f"{getattr(value, '__name__', type(value).__name__)}{IN_MEMORY}"
