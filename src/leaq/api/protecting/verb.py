"""Protection, front to back.

    records -> public part | choosing part | pool -> choose on models of the pool -> audit new models -> train, pack

The choice is paid for with records: the choosing part trains no model and is in no audit, so the accuracy by which a
release is chosen is not the one that is reported, and the models of the final audit are trained anew after the choice,
with other halves and other initial weights. The released model is trained on pool and choosing part by the same recipe;
or it is one that was given (`released`), whose members all stay in the pool: the audit then attacks this very file.
Nothing in its file but codes, scales and biases has seen a member: it is standardised and calibrated on public records.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from leaq.api.protecting.choosing import ATTACK, Tried, search
from leaq.api.protecting.parts import Parts
from leaq.decisions.limits import checked_drop
from leaq.decisions.standing import BUDGET
from leaq.errors import InvalidInput
from leaq.pipeline import audit_samples
from leaq.pipeline.cell import AuditConfig
from leaq.pipeline.options import command
from leaq.pipeline.planning import asked
from leaq.pipeline.preparing import prepare
from leaq.pipeline.subjects import subject_of
from leaq.quantizers import Calibration, build, pack
from leaq.reporting.card import privacy_card
from leaq.results import CellResult, as_plain
from leaq.results.metrics import metric
from leaq.results.redaction import shareable, shareable_config
from leaq.study import audit_into
from leaq.system.environment import limited_threads
from leaq.system.files import write_atomic
from leaq.training.batched import device_for
from leaq.types import AttackResult, Estimate, Flag, Progress, silent

DROP = 0.02
"""By how much the metric may fall where nothing is said."""
AUDIT, CARD, MODEL = "audit", "card.md", "protected.safetensors"


@dataclass(frozen=True)
class Protected:
    """What `protect` hands out.

    Attributes
    ----------
    quantizer : specification of the release that was chosen.
    tried : every release of the search, least leak first; those whose metric fell too far were not attacked.
    audit : the audit of models trained anew, with full precision and the chosen release.
    metric : name of the metric that the drop is of.
    card : the privacy card, Markdown.
    folder : where everything was written, None if nowhere.
    """

    quantizer: str
    tried: tuple[Tried, ...]
    audit: CellResult
    metric: str
    card: str
    folder: Path | None = None

    @property
    def chosen(self) -> str:
        """Say what was chosen, from what, and at what price."""
        best = next(one for one in self.tried if one.quantizer == self.quantizer)
        if best.drop is None:
            return (
                f"None of the {len(self.tried) - 1} releases tried leaks less than full precision within the budget: "
                "allow a larger drop, or give more public records."
            )
        name = metric(self.metric).name
        said = (
            f"Chosen of {len(self.tried)} releases, by its estimate: {best.label}. Where it was chosen, its {name} "
            f"changed by {best.drop.value:+.3f} [{best.drop.low:+.3f}, {best.drop.high:+.3f}]"
        )
        proved = next(row.drops.get(self.metric) for row in self.audit.rows if row.quantizer == self.quantizer)
        if not isinstance(proved, Estimate):
            return f"{said}."
        return f"{said}, on the models audited by {proved.value:+.3f} [{proved.low:+.3f}, {proved.high:+.3f}]."

    def to_plain(self) -> dict[str, Any]:
        """Return everything but the card as JSON values; aggregates only."""
        return {
            "quantizer": self.quantizer,
            "metric": self.metric,
            "tried": as_plain(self.tried),
            "audit": json.loads(shareable(self.audit).to_json()),
            "folder": None if self.folder is None else str(self.folder),
        }

    def __str__(self) -> str:
        lines = []
        for row in self.audit.rows:
            attack = row.attacks[ATTACK]
            found = attack.advantage if isinstance(attack, AttackResult) else attack
            lines.append(f"{row.label}: {row.metrics[self.metric]!r}, advantage of who holds the file {found!r}")
        return "\n".join(lines)


def protect(
    source: Any, *, max_drop: float = DROP, out: str | Path | None = None, progress: Progress = silent, **options: Any
) -> Protected:
    """Find the release of a model of these records that leaks least within an accuracy budget, and prove it.

    Parameters
    ----------
    source : what models are trained on: a name, a file, or an `AuditConfig`, whose quantizers are those tried.
    max_drop : by how much ROC-AUC or R2 may fall below full precision, on average over models.
    out : folder for ``protected.safetensors``, ``card.md`` and the audit; the same call again goes on after an
        interruption, or reads what is finished.
    options : of `AuditConfig`: ``public="public.csv"``, ``quantizers=("protect",)``, ``replicates=16``, ...; of a
        finished model ``released="model.safetensors"``, ``members="members.csv"`` and its training or network.

    Raises
    ------
    InvalidInput
        If the budget is negative, the folder belongs to other options, or another game is asked for.
    NotEnoughEvidence
        If there are too few models to attack.

    Examples
    --------
    >>> from leaq.training import TrainingConfig
    >>> found = protect(
    ...     "breast_cancer",
    ...     quantizers=("sign", "sparse_refit(sparsity=0.5, calibrated=elsewhere)"),
    ...     replicates=8,
    ...     training=TrainingConfig(hidden=(8,), epochs=5, checkpoints=4),
    ... )
    >>> len(found.tried), found.audit.rows[0].label
    (3, 'full precision')
    """
    if not max_drop >= 0:
        raise InvalidInput(f"max_drop must be 0 or more, what the metric may lose. Found {max_drop}. Give e.g. 0.02.")
    if isinstance(source, AuditConfig):
        config = source.but(**options)
    else:
        config = AuditConfig(source=str(source), **{"quantizers": ("protect",), **options})
    device_for(config.training)
    folder = None if out is None else Path(out)
    with limited_threads(config.threads):
        samples, config = prepare(_standardised_publicly(config), progress=progress)
        parts = Parts.of(samples, config)
        checked_drop(max_drop, metric(parts.metric))
        # The search is of models trained as a released file was, without the file.
        unreleased = config.but(released="", members="")
        tried = search(unreleased, parts.unreleased, max_drop=max_drop, folder=folder, progress=progress)
        best = next(one for one in tried if one.advantage is not None)  # full precision is always attacked
        audit = _proof(config, parts, best, folder=folder, progress=progress)
        audit = replace(audit, data={**audit.data, BUDGET: max_drop})
        again = command(shareable_config(config.to_dict()), verb="protect")
        again += "" if max_drop == DROP else f" --max-drop {max_drop:g}"
        card = _card(audit, tried, parts, again=again, max_drop=max_drop)
        if folder is not None:
            _release(config, parts, best, folder / MODEL, progress=progress)
            write_atomic(folder / CARD, card, mode=0o644)
    return Protected(best.quantizer, tried, audit, parts.metric, card, folder)


def _standardised_publicly(config: AuditConfig) -> AuditConfig:
    """Standardise by public records instead of the pool: the pool of a released model is its members."""
    if config.game != "pool" or config.together:
        raise InvalidInput(
            "protect asks who trained one model that is released once. Found another game, or several releases. Leave "
            "out game and together."
        )
    if config.finished:
        raise InvalidInput(
            "protect chooses by attacks with shadow models. Found a finished model as the source. Name the records as "
            "the source, the model as released, its members, and its training (recipe) or network (model)."
        )
    tree = config.to_dict()
    if ATTACK not in config.attacks:
        tree["attacks"] = (*config.attacks, ATTACK)  # the last one leads
    if config.training.standardise == "pool":
        tree["training"] = {**tree["training"], "standardise": "public"}
    if config.released:  # a file holds no scalers of ours, and no weights from before its last
        tree["training"] = {**tree["training"], "standardise": "none", "checkpoints": 1}
    return AuditConfig.from_dict(tree)


def _proof(config: AuditConfig, parts: Parts, best: Tried, *, folder: Path | None, progress: Progress) -> CellResult:
    """Audit the chosen release on models trained anew: other halves, other initial weights."""
    anew = config.but(quantizers=(best.quantizer,), seed=config.seed + 1)
    pool = replace(parts.pool, flags=(*parts.pool.flags, Flag("chosen", parts.said(config.models))))
    if folder is None:
        return audit_samples(pool, anew, progress=progress)
    return audit_into(anew, folder / AUDIT, prepared=(pool, anew), progress=progress)


def _release(config: AuditConfig, parts: Parts, best: Tried, path: Path, *, progress: Progress) -> None:
    """Write the model as chosen: the one that was given, or one trained on all records but the public ones.

    An existing file is finished.
    """
    if path.exists():
        return
    quantizer, seed = build(best.quantizer), config.seed + 2
    anew = config.but(seed=seed)
    if config.released:  # the subject that reads the file needs one shadow model to know its network
        which = asked(config, parts.pool).members[:2]
        made = subject_of(anew).train(parts.pool, which, which=slice(0, 2), progress=progress)
        checkpoints = made.checkpoints.at(slice(0, 1))
    else:
        everybody = np.ones((1, len(parts.whole)), dtype=bool)
        made = subject_of(anew).train(parts.whole, everybody, which=slice(0, 1), progress=progress)
        checkpoints = made.checkpoints
    most = quantizer.records
    calibration = Calibration(made.model, parts.public.inputs, seed=seed, most=most, source="public records")
    given = checkpoints if quantizer.earlier else checkpoints.last()
    pack(given, quantizer, path, calibration=calibration if quantizer.needs.calibration else None)


def _card(audit: CellResult, tried: Sequence[Tried], parts: Parts, *, again: str, max_drop: float) -> str:
    """Return the audit's card, with how the release was chosen and what the released model is."""
    best = next(one for one in tried if one.advantage is not None)
    lines = [
        f"| release | {metric(parts.metric).name} where chosen | change | advantage where chosen |",
        "|---|---:|---:|---:|",
    ]
    for one in tried:
        leak = "not attacked" if one.advantage is None else _cell(one.advantage)
        leak = f"not made: {one.refused}" if one.refused else leak
        lines.append(f"| {one.label} | {_cell(one.metric)} | {_cell(one.drop)} | {leak} |")
    models = int(audit.config["replicates"]) + int(audit.config.get("shadows", 0))
    trained = (
        f"The released model was trained by the audited recipe on {len(parts.whole)} records, the audited ones on "
        f"{audit.data['n_train']} each: the figures are about the recipe."
    )
    given = (
        "The released model is the one that was given, released as chosen; the audit attacks this very file with "
        "shadow models trained as it was. The choice was made on other models trained so, not on it."
    )
    sections = (
        privacy_card(audit, reproduce=again).rstrip(),
        "### How the release was chosen",
        f"Of {len(tried)} releases, **{best.label}** had the smallest advantage of those whose "
        f"{metric(parts.metric).name} fell by at most {max_drop:g}. "
        f"{parts.said(models)} The figures below made the choice, so the best of them flatter; "
        "those of the audit above do not.",
        "\n".join(lines),
        trained if parts.pool.released_on is None else given,
    )
    return "\n\n".join(sections) + "\n"


def _cell(estimate: Estimate | None) -> str:
    return "" if estimate is None else f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"
