"""The form a regulator or an output checker asks for: one model, every question answered from the audit or left open.

A question that the audit does not answer says so and what would answer it; nothing is filled in by assumption.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np

from leaq.attacks.registry import AS_OF, entries
from leaq.decisions.gating import rows_named
from leaq.decisions.standing import leak, reference
from leaq.errors import unknown_name
from leaq.pipeline.options import command
from leaq.reporting.decision import chooser_of
from leaq.reporting.display_names import attack_name, flag_words, metric, short_attack
from leaq.results import CellResult, QuantizerRow, as_plain
from leaq.results.redaction import shareable, shareable_config, shareable_digest
from leaq.stats.digits import format_estimate
from leaq.system.files import no_file, sha256_of
from leaq.types import Estimate

Status = Literal["measured", "stated", "open"]


@dataclass(frozen=True)
class Profile:
    """Who asks, on which ground, and in which order."""

    title: str
    asks: str
    order: tuple[str, ...]


PROFILES: Mapping[str, Profile] = {
    "edpb": Profile(
        "Evidence for the assessment of a model's anonymity",
        "EDPB Opinion 28/2024: a model is anonymous only if extracting personal data and obtaining them by queries are "
        "both insignificantly likely, for each person and by all means reasonably likely to be used. This form answers "
        "for membership; it is evidence for that assessment, not its outcome.",
        ("worst", "attacks", "threshold", "releases", "artefact", "unit", "shift", "utility", "who"),
    ),
    "cnil": Profile(
        "Documented analysis of a model's resistance to membership inference",
        "CNIL, recommendations on AI (July 2025): the analysis of whether a model falls under the GDPR is to be "
        "carried out and documented. This form documents the part on membership inference.",
        ("artefact", "attacks", "worst", "threshold", "unit", "shift", "utility", "releases", "who"),
    ),
    "tre": Profile(
        "Output check of a trained model before it leaves a trusted research environment",
        "For the output checker: what the model gives away about single records of the environment, and on what that "
        "rests. The decision is the checker's.",
        ("threshold", "worst", "unit", "attacks", "shift", "artefact", "releases", "utility", "who"),
    ),
}

QUESTIONS: Mapping[str, str] = {
    "worst": "How much is the record that is most at risk given away, and how many records are identified?",
    "attacks": "Which attacks were tried, which were not, and as of when?",
    "unit": "What is one unit of privacy, and were repeated records found?",
    "artefact": "Which file was audited, quantized by what, calibrated on what?",
    "shift": "Could members be told from non-members without the model (blind baseline)?",
    "utility": "What does the released form cost in accuracy?",
    "who": "Who audited, when, with which seed, version and data?",
    "threshold": "Is the residual risk below the auditor's own threshold?",
    "releases": "What if the same model is released more than once?",
}
OUT_OF_SCOPE = ("attribute inference", "model inversion", "extraction of training records")


@dataclass(frozen=True)
class Auditor:
    """What only the auditor can say.

    Attributes
    ----------
    name : who signs for it.
    max_leak : largest acceptable advantage, at the upper end of every attack's interval.
    reason : why this one.
    artefact : the file that will be released; its hash goes into the form.
    """

    name: str = ""
    max_leak: float | None = None
    reason: str = ""
    artefact: Path | None = None


@dataclass(frozen=True)
class Answer:
    """One question, its answer in words, and the numbers behind it.

    `status` is "measured" (by this audit), "stated" (by the auditor, or a fact of the configuration) or "open".
    """

    key: str
    question: str
    answer: str
    status: Status
    numbers: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Form:
    """A filled form: aggregates only."""

    profile: str
    title: str
    asks: str
    subject: str
    quantizer: str
    answers: tuple[Answer, ...]
    limits: str
    config: Mapping[str, Any]
    command: str
    issued: str


def fill_form(
    result: CellResult, profile: str, *, quantizer: str = "", auditor: Auditor | None = None, now: datetime
) -> Form:
    """Answer every question of a profile for one released model.

    Parameters
    ----------
    quantizer : specification or label of what is released; by default what `leaq decide` names.
    now : when the form is issued.

    Raises
    ------
    UnknownName
        If there is no such profile, or no such quantizer in the result.
    """
    if profile not in PROFILES:
        raise unknown_name("profile", profile, PROFILES)
    asked, auditor, row = PROFILES[profile], auditor or Auditor(), _row(result, quantizer)
    made = {
        "worst": _worst(result, row),
        "attacks": _attacks(row),
        "unit": _unit(result),
        "artefact": _artefact(result, row, auditor),
        "shift": _shift(result),
        "utility": _utility(result, row),
        "who": _who(result, auditor, now),
        "threshold": _threshold(row, auditor),
        "releases": _releases(result, row),
    }
    plain = shareable(result)
    return Form(
        profile=profile,
        title=asked.title,
        asks=asked.asks,
        subject=f"{result.name}, {row.label}",
        quantizer=row.quantizer,
        answers=tuple(Answer(key, QUESTIONS[key], *made[key]) for key in asked.order),
        limits="Every number is about this audit's models and records. A quiet attack is no proof of privacy; only "
        "differential privacy in training bounds every attack.",
        config=dict(plain.config),
        command=command(shareable_config(result.config)),
        issued=now.isoformat(timespec="seconds"),
    )


Filled = tuple[str, Status, dict[str, Any]]


def _row(result: CellResult, name: str) -> QuantizerRow:
    if not name:
        chooser = chooser_of(result)
        chosen = chooser.at(chooser.budget).chosen if chooser else reference(result).quantizer
        return next(row for row in result.rows if row.quantizer == chosen)
    return rows_named(result.rows, name)[0]


def _worst(result: CellResult, row: QuantizerRow) -> Filled:
    """Say what single records have to fear: counts and a maximum, never which."""
    numbers: dict[str, Any] = {}
    parts = []
    identified, total = result.private.get("identified", {}).get(row.quantizer), int(result.data.get("n", 0))
    if identified is not None and total:
        numbers |= {"identified": len(identified), "records": total, "false_discovery_rate": 0.05}
        parts.append(
            f"{len(identified)} of {total:,} records ({len(identified) / total:.1%}) are identified, at most 5 % of "
            "them wrongly (expected share), over all audited models."
        )
    attack = row.computed.get(result.risk_attack or "")
    risk = attack.risk[np.isfinite(attack.risk)] if attack is not None and attack.risk is not None else np.empty(0)
    if len(risk):
        numbers["largest_risk"] = round(float(risk.max()), 2)
        parts.append(
            f"For the record most at risk the signal moves by {risk.max():.1f} standard deviations when it is trained "
            f"on ({short_attack(str(result.risk_attack))}; the largest of many noisy numbers, without interval)."
        )
    tails = [(fpr, one) for a in row.computed.values() for fpr, one in a.tpr.items() if isinstance(one, Estimate)]
    if tails:
        fpr = min(fpr for fpr, _ in tails)
        best = max((one for at, one in tails if at == fpr), key=lambda one: one.high)
        numbers[f"tpr_at_{fpr:g}"] = as_plain(best)
        parts.append(
            f"At {fpr:.1%} false positives the best attack names a share of {format_estimate(best)} of members."
        )
    if identified is None:
        why = result.private.get("not_identified", "the private part of the run is not at hand (cleaned, or not kept)")
        parts.append(f"Which share of records is identified: not measured; {str(why).rstrip('.')}.")
    parts.append(
        "By stratum: only for molecules, in the run's page of exposed structures, which is not to be passed on."
    )
    return " ".join(parts), "measured" if numbers else "open", numbers


def _attacks(row: QuantizerRow) -> Filled:
    tried = row.computed
    missing = [one.title for one in entries() if one.spec not in tried]
    listed = "; ".join(f"{attack_name(name)} {format_estimate(one.advantage)}" for name, one in tried.items())
    text = f"Tried, with advantage and interval: {listed or 'none'}. "
    text += f"Known to leaq and not tried: {', '.join(missing)}. " if missing else ""
    text += f"Catalogue as of {AS_OF}. Out of scope: {', '.join(OUT_OF_SCOPE)}."
    numbers = {
        "tried": {name: as_plain(one.advantage) for name, one in tried.items()},
        "not_tried": missing,
        "as_of": AS_OF,
        "out_of_scope": list(OUT_OF_SCOPE),
    }
    return text, "measured" if tried else "open", numbers


def _unit(result: CellResult) -> Filled:
    group = result.config.get("group")
    repeated = result.data.get("duplicates")
    unit = "one group of rows (column named by --group)" if group else "one record (row of the source)"
    alone = "" if group else "One person with several rows is not judged as one unless rows are grouped. "
    count = "not counted" if repeated is None else f"{int(repeated):,} records repeat another's inputs"
    merged = [flag_words(flag) for flag in result.flags if flag.code == "merged-duplicates"]
    text = f"The unit is {unit}. {alone}Repeated records: {count}; they stay on one side of every split."
    text = " ".join([text, *(f"Before that: {words}" for words in merged)])
    numbers = {"unit": "group" if group else "record", "duplicates": repeated}
    return text, "stated" if repeated is None else "measured", numbers


def _artefact(result: CellResult, row: QuantizerRow, auditor: Auditor) -> Filled:
    numbers: dict[str, Any] = {
        "quantizer": row.quantizer,
        "bits": None if math.isnan(row.size.bits) else row.size.bits,
        "bytes": row.size.bytes,
    }
    made = result.environment.get("versions", {})
    finished = result.config.get("kind") == "model"
    text = "The finished model itself was audited. " if finished else (
        f"{result.config.get('replicates')} models trained by the same rule were audited, not the released file: "
        "the numbers are about the rule. "
    )  # fmt: skip
    text += f"Quantizer: {row.quantizer}, {row.size.bits_words} bits a number, by leaq {made.get('leaq', '?')}"
    text += f" on torch {made['torch']}. " if "torch" in made else ". "
    origin = [flag_words(flag) for flag in row.flags if "calibrat" in flag.code or "calibrat" in flag.text.lower()]
    text += " ".join(origin) or "No calibration records are declared for it."
    if auditor.artefact is None:
        return f"{text} The hash of the released file is not stated (--artefact FILE).", "stated", numbers
    if not auditor.artefact.is_file():
        raise no_file(auditor.artefact, remedy="Name the file that will be released.")
    numbers["sha256"] = sha256_of(auditor.artefact)
    numbers["file"] = auditor.artefact.name
    return f"{text} Released file {auditor.artefact.name}: SHA-256 {numbers['sha256']}.", "stated", numbers


def _shift(result: CellResult) -> Filled:
    found = result.data.get("shift_auc")
    if found is not None:
        value, low, high = (float(found[end]) for end in ("value", "low", "high"))
        words = format_estimate(Estimate(value, low, high, int(result.data["n"])))
        text = f"A classifier of inputs alone tells members from non-members with ROC-AUC {words} (0.5: not at all)."
        return text, "measured", dict(found)
    if result.data.get("game") in ("pool", "calibration", "series"):
        text = (
            "By design not: members are a random half of one pool, drawn anew for every model, so both come from one "
            "distribution (ROC-AUC 0.5)."
        )
        return text, "stated", {"expected_auc": 0.5}
    return "Not measured: inputs are no arrays of numbers that could be compared.", "open", {}


def _utility(result: CellResult, row: QuantizerRow) -> Filled:
    key = result.primary_metric
    value, change = row.metrics.get(key), row.drops.get(key)
    if not isinstance(value, Estimate):
        return "Not measured.", "open", {}
    text = f"{metric(key).name} {format_estimate(value)} on records that trained no part of the model"
    if isinstance(change, Estimate):
        text += f"; change against full precision {format_estimate(change, sign=True)}, paired"
    useless = [flag_words(flag) for flag in row.flags if flag.code == "no-skill"]
    numbers = {"metric": key, "value": as_plain(value), "change": as_plain(change)}
    return f"{text}. {' '.join(useless)}".strip(), "measured", numbers


def _who(result: CellResult, auditor: Auditor, now: datetime) -> Filled:
    digest = shareable_digest(result)
    versions, seed = result.environment.get("versions", {}), result.config.get("seed")
    text = (
        f"{auditor.name or 'Name not stated (--auditor)'}, {now:%Y-%m-%d %H:%M %Z}. Seed {seed}, leaq "
        f"{versions.get('leaq', '?')}. Results by digest (SHA-256 of every shareable number): {digest}."
    )
    numbers = {"name": auditor.name, "seed": seed, "versions": dict(versions), "results_sha256": digest}
    return text, "stated" if auditor.name else "open", numbers


def _threshold(row: QuantizerRow, auditor: Auditor) -> Filled:
    limit, ran = auditor.max_leak, row.computed
    if limit is None:
        return "No threshold was stated (--max-leak, with --reason).", "open", {}
    if not ran:
        return "No attack was computed, and missing evidence fails.", "open", {"threshold": limit, "kept": False}
    name = max(ran, key=lambda key: ran[key].advantage.high)
    worst = ran[name].advantage
    kept = worst.high <= limit
    reason = (
        f"Reason for the threshold: {auditor.reason}" if auditor.reason else "No reason for the threshold was stated."
    )
    text = (
        f"{'Yes' if kept else 'No'}: {attack_name(name)} reaches highest of all tried, {format_estimate(worst)}; that "
        f"upper end is {'at most' if kept else 'above'} the threshold of {limit:g}. {reason}"
    )
    numbers = {"threshold": limit, "reason": auditor.reason, "attack": name, "advantage": as_plain(worst), "kept": kept}
    return text, "measured", numbers


def _releases(result: CellResult, row: QuantizerRow) -> Filled:
    joint = [(one, leak(result, one)) for one in result.together if row.quantizer in one.quantizer]
    said = {one.quantizer: f"{one.label}: {format_estimate(found)}" for one, found in joint if found}
    random = [
        flag_words(flag) for flag in row.flags if all(word in flag.text.lower() for word in ("random", "release"))
    ]
    if said:
        numbers = {one.quantizer: as_plain(found) for one, found in joint if found}
        return f"Attacked together: {'; '.join(said.values())}. {' '.join(random)}".strip(), "measured", numbers
    text = "Not measured: every number is about one release of the model. Further forms of it add up (--together). "
    return (text + " ".join(random)).strip(), "open", {}
