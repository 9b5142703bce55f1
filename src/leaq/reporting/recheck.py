"""Whether a card is true: its signature, and a random tenth of it computed again."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from leaq.errors import InvalidInput
from leaq.pipeline import audit
from leaq.pipeline.cell import AuditConfig
from leaq.quantizers.registry import build
from leaq.reporting.form_files import read_card, signer
from leaq.system.signing import read_public_key
from leaq.types import Estimate, Progress, silent

SHARE = 10
"""One number in so many is computed again, at least one."""


@dataclass(frozen=True)
class Compared:
    """One number of the card beside the same one computed again.

    Attributes
    ----------
    stated, found : its interval in the card, and its value now.
    rests_on : how many observations it was of, in the card and now.
    """

    name: str
    stated: tuple[float, float]
    found: float
    rests_on: tuple[int, int] = (0, 0)

    @property
    def same_records(self) -> bool:
        """Whether as many observations are behind both; else the records are others."""
        return self.rests_on[0] == self.rests_on[1]

    @property
    def agrees(self) -> bool:
        """Whether the new number lies in the stated interval, and is of as many observations."""
        return self.same_records and self.stated[0] <= self.found <= self.stated[1]


@dataclass(frozen=True)
class Rechecked:
    """What is left of a card after it was checked.

    Attributes
    ----------
    signed : "valid", "invalid", "none", or "other key".
    key : fingerprint of the key that signed it, empty if none did.
    compared : numbers computed again.
    notes : what could not be checked, one sentence each.
    """

    signed: str
    key: str
    compared: tuple[Compared, ...]
    notes: tuple[str, ...]

    @property
    def whole(self) -> bool:
        """Whether nothing speaks against the card."""
        return self.signed in ("valid", "none") and all(one.agrees for one in self.compared)


def recheck(
    path: str | Path,
    *,
    key_file: Path | None = None,
    source: str = "",
    rerun: bool = True,
    device: str = "",
    progress: Progress = silent,
) -> Rechecked:
    """Check a card's signature, and compute a random tenth of its numbers again.

    The draw is made anew each time, so that whoever wrote the card could not know it. The audit is run as the card says
    with the attacks of the drawn numbers; a new number agrees if it lies in the stated interval and is of as
    many observations: other records of the same name are told.

    Parameters
    ----------
    path : JSON or HTML file of `leaq show --profile`.
    key_file : public key (PEM) that must have signed it; by default any key.
    source : where the data lies, if the card's own name for it is not found here.
    rerun : compute again; else only the signature is looked at.
    device : where models run, "cpu" or "cuda"; by default where the card's did.
    """
    card = read_card(path)
    signed, key = _signature(card, key_file)
    notes = []
    if signed == "none":
        notes.append("The card is not signed: anybody can have changed it.")
    elif signed == "valid" and key_file is None:
        notes.append(f"Signed by key {key}. Compare it with the auditor's own, or give --key.")
    compared: tuple[Compared, ...] = ()
    if rerun and card["config"].get("kind") == "model":
        notes.append("The audit of a finished model needs the model: its numbers were not computed again.")
    elif rerun:
        compared = _again(card, source, device, progress)
    return Rechecked(signed, key, compared, tuple(notes))


def _signature(card: Mapping[str, Any], key_file: Path | None) -> tuple[str, str]:
    expected = read_public_key(key_file) if key_file is not None else ""
    if "signature" not in card:
        return ("other key" if expected else "none"), ""
    found = signer(card)
    if found is None:
        return "invalid", ""
    return ("valid" if expected in ("", found) else "other key"), found


def _again(card: Mapping[str, Any], source: str, device: str, progress: Progress) -> tuple[Compared, ...]:
    """Compute drawn numbers again and set them beside what the card states."""
    answers = {one["key"]: one["numbers"] for one in card["answers"]}
    numbers = {f"advantage of {name}": one for name, one in answers.get("attacks", {}).get("tried", {}).items()}
    if value := answers.get("utility", {}).get("value"):
        numbers[str(answers["utility"]["metric"])] = value
    if not numbers:
        return ()
    stated = {name: (float(number["low"]), float(number["high"])) for name, number in numbers.items()}
    names = sorted(stated)
    drawn = set(np.random.default_rng(secrets.randbits(64)).choice(names, ceil(len(names) / SHARE), replace=False))
    config = dict(card["config"])
    attacks = [name.removeprefix("advantage of ") for name in drawn if name.startswith("advantage of ")]
    calibrated = [spec for spec in config["quantizers"] if build(spec).needs.calibration]
    asked = [card["quantizer"]] if card["quantizer"] != "none" else config["quantizers"][:1]
    change = {
        "source": source or config.get("source"),
        "quantizers": list(dict.fromkeys([*asked, *calibrated[:1]])),  # else other records would be set aside
        "attacks": attacks or ["threshold"],
        "together": [],
    }
    if device:
        change["training"] = {**config["training"], "device": device}
    result = audit(AuditConfig.from_dict({**config, **change}), progress=progress)
    row = next(row for row in result.rows if row.quantizer == card["quantizer"])
    found = {f"advantage of {name}": one.advantage for name, one in row.computed.items()}
    found |= {name: one for name, one in row.metrics.items() if isinstance(one, Estimate)}
    missing = drawn - set(found)
    if missing:
        listed = ", ".join(sorted(missing))
        raise InvalidInput(f"The card states numbers that its own configuration does not give: {listed}.")
    return tuple(
        Compared(name, stated[name], found[name].value, (int(numbers[name]["n"]), found[name].n))
        for name in sorted(drawn)
    )
