"""The search: accuracy on records that train no model, and the attack on the file where accuracy is kept."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from leaq.api.protecting.parts import Parts
from leaq.attacks.base import Context
from leaq.attacks.registry import build_attack
from leaq.attacks.scoring import Resampling
from leaq.errors import InvalidInput, NotEnoughEvidence, UnsupportedModel
from leaq.evaluation import evaluate_checkpoints
from leaq.evaluation.loss_table import loss_table
from leaq.measures.performance import drop, performance
from leaq.models.protocols import Model
from leaq.pipeline.cell import AuditConfig
from leaq.pipeline.planning import Asked, asked
from leaq.pipeline.subjects import origin_digest, subject_of
from leaq.quantizers import Identity, Scheme
from leaq.results import as_plain
from leaq.results.cells import number_of
from leaq.system.checksummed import DamagedFile, json_with_checksum, read_json
from leaq.system.files import write_atomic
from leaq.types import AttackResult, Checkpoints, Estimate, LossTable, Progress

ATTACK = "combined(codes=True)"
"""What releases are ordered by: the attack of who holds the file and reads its codes too."""
CHOICE = "choice.json"


@dataclass(frozen=True)
class Tried:
    """One release that was tried: metric and drop on the records chosen on, advantage of who holds the file.

    `refused` says why it cannot be made of these models, where it cannot; there is no number then.
    """

    quantizer: str
    label: str
    metric: Estimate | None
    drop: Estimate | None = None
    advantage: Estimate | None = None
    refused: str = ""


def search(
    config: AuditConfig, parts: Parts, *, max_drop: float, folder: Path | None, progress: Progress
) -> tuple[Tried, ...]:
    """Return every release that was tried, least leak first; each is kept in `folder` once it is measured."""
    key = f"{config.digest()} {origin_digest(config)} {max_drop!r}"
    tried = {} if folder is None else _kept(folder, key)
    todo = asked(config, parts.pool)
    # A release calibrated on members is followed by itself calibrated elsewhere, which has not seen them.
    wanted = [q for q in todo.quantizers if not (q.needs.calibration and q.calibrated == "members")]
    if any(quantizer.spec() not in tried for quantizer in wanted):
        everybody = slice(0, len(todo.members))
        made = subject_of(config).train(parts.pool, todo.members, which=everybody, progress=progress)
        trained = _Trained(config, parts, todo, made.model, made.checkpoints)
        for done, quantizer in enumerate(wanted, start=1):
            if quantizer.spec() not in tried:
                tried[quantizer.spec()] = trained.tried(quantizer, max_drop)
                if folder is not None:
                    _keep(folder, key, tried)
            progress("choosing", done, len(wanted))
    found = [tried[quantizer.spec()] for quantizer in wanted]
    return tuple(sorted(found, key=lambda one: np.inf if one.advantage is None else one.advantage.value))


@dataclass(frozen=True)
class _Trained:
    """Trained models of the pool, and what each release of them is worth."""

    config: AuditConfig
    parts: Parts
    todo: Asked
    model: Model
    checkpoints: Checkpoints

    def tried(self, quantizer: Scheme, max_drop: float) -> Tried:
        """Measure the metric on the records chosen on; attack only what is accurate enough to be chosen."""
        if quantizer.earlier and self.checkpoints.batch[1] == 1:
            why = "It looks at earlier weights, and the training recorded no earlier weights."
            return Tried(quantizer.spec(), quantizer.label(), None, refused=why)
        try:
            released, name = self._released(quantizer), self.parts.metric
        except UnsupportedModel as err:
            return Tried(quantizer.spec(), quantizer.label(), None, refused=str(err))
        table, level, seed = self._on_choosing(released), self.config.level, self.config.seed
        tried = Tried(quantizer.spec(), quantizer.label(), performance(table, level=level, seed=seed)[name])
        if quantizer != Identity():
            cost = drop(table, self._reference, level=level, seed=seed)[name]
            tried = replace(tried, drop=cost)
            if cost.value < -max_drop:
                return tried
        return replace(tried, advantage=self._attacked(released))

    def _attacked(self, released: Checkpoints) -> Estimate:
        judged = self.todo.judged
        table = self.todo.of_pool(
            loss_table(self.model, released, judged, self.todo.judged_members, whitebox=True, numbers=True, codes=True)
        )
        resampling = Resampling(**self.config.resampling)
        found = build_attack(ATTACK).run(Context(table, features=judged.inputs, resampling=resampling))
        if not isinstance(found, AttackResult):
            raise NotEnoughEvidence(f"protect chooses by the attack on the file. {found.reason}")
        return found.advantage

    def _released(self, quantizer: Scheme) -> Checkpoints:
        released = quantizer.recorded(self.checkpoints).last()
        everybody = slice(0, released.batch[0])
        calibration = self.todo.calibration(self.model, everybody, quantizer, seed=self.config.seed)
        return quantizer.fitted_to(released, calibration)(released)

    @cached_property
    def _reference(self) -> LossTable:
        return self._on_choosing(self._released(Identity()))

    def _on_choosing(self, released: Checkpoints) -> LossTable:
        nobody = np.zeros((released.batch[0], len(self.parts.choosing)), dtype=bool)
        table: LossTable = evaluate_checkpoints(self.model, released, self.parts.choosing, nobody)
        return table


def _kept(folder: Path, key: str) -> dict[str, Tried]:
    """Return what was tried so far under the same options, nothing where the file is damaged.

    Raises
    ------
    InvalidInput
        If the folder belongs to other options.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not (folder / CHOICE).exists():
        return {}
    try:
        kept = read_json(folder / CHOICE, kind="choice", key="")
    except DamagedFile:
        return {}
    if kept["key"] != key:
        raise InvalidInput(
            f"{folder.name}: the folder must belong to the same options. Found those of another search. Name "
            "another folder with --out."
        )
    each = [
        {name: number_of(one) if isinstance(one, dict) else one for name, one in item.items()} for item in kept["tried"]
    ]
    return {item["quantizer"]: Tried(**item) for item in each}


def _keep(folder: Path, key: str, tried: Mapping[str, Tried]) -> None:
    text = json.dumps({"key": key, "tried": as_plain(list(tried.values()))}, indent=1)
    write_atomic(folder / CHOICE, json_with_checksum(text, kind="choice", key=""))
