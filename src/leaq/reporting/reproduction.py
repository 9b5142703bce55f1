"""The one command that gives the same numbers again."""

import shlex
from collections.abc import Mapping
from typing import Any

__all__ = ["command"]


def command(config: Mapping[str, Any]) -> str:
    """Return the command line of a resolved configuration (the call, for a finished model).

    What a configuration has no option for stands in the configuration itself.

    Examples
    --------
    >>> command({"source": "my data.csv", "target": "y", "quantizers": ["sign"], "replicates": 8, "seed": 1})
    "leaq audit 'my data.csv' --target y --quantizers sign --replicates 8 --seed 1"
    """
    if config.get("kind") == "model":
        return f"leaq.audit(model, members=..., nonmembers=..., quantizers={list(config.get('quantizers', ()))})"
    training = config.get("training") or {}
    options: dict[str, Any] = {
        name: config.get(name) for name in ("target", "smiles", "task", "group", "split", "embedder")
    }
    options["quantizers"] = ",".join(config.get("quantizers", ()))
    options["replicates"] = config.get("replicates")
    if "hidden" in training:  # no hidden layer is a choice, too
        options["hidden"] = ",".join(str(width) for width in training["hidden"]) or "none"
    options["epochs"] = training.get("epochs")
    options["learning-rate"] = training.get("learning_rate")
    options["seed"] = config.get("seed")
    given = [f"--{name} {shlex.quote(str(value))}" for name, value in options.items() if value not in (None, "")]
    given += [f"--ignore {shlex.quote(str(column))}" for column in config.get("ignore", ())]
    flags = [
        f"--{name.replace('_', '-')}" for name in ("skip_invalid", "strip_salts", "log_target") if config.get(name)
    ]
    return " ".join(["leaq audit", shlex.quote(str(config.get("source", "data"))), *given, *flags])
