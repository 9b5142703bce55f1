"""Does the choice give members away? Owners who each search on records of their own, and an attacker who does as well.

Each owner holds one half of the records, sets a quarter of it aside to choose on, searches on the rest as `leaq protect`
does, and releases a model of the whole half as chosen. The attacker attacks every owner with the others as shadows:

- ``known``: the shadows' models are released as the target's was, its choice taken as known (what the audit does);
- ``chosen``: each shadow's model is released as its own owner chose;
- ``both``: as ``known``, and the choice is one more piece of evidence: the log of how much more often those owners chose
  so who trained on the record than those who did not, weighed by what it was worth on the other owners.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from benchmarks.protect.collect import Made, achieved
from benchmarks.protect.settings import Cell
from leaq.api.protecting.choosing import ATTACK, search
from leaq.api.protecting.parts import Parts
from leaq.attacks.base import Context
from leaq.attacks.decisions import pairs_of
from leaq.attacks.registry import build_attack
from leaq.pipeline.cell import AuditConfig
from leaq.pipeline.planning import set_aside
from leaq.types import Bools, Floats, LossTable, silent

__all__ = ["evidence_of_choice", "keep_searched", "weighed"]

OWNERS, CHOOSING, MAX_DROP = 16, 0.25, 0.02


def keep_searched(task: str, folder: Path, results: Path) -> None:
    """Search once an owner, each choice written at once; then attack the owners' releases."""
    path = results / f"{task}.json"
    kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"choices": []}
    if "advantages" in kept:
        return
    made = Made.of(Cell(task, models=OWNERS, standardise="public"), folder)
    kept |= made.described
    for owner in range(len(kept["choices"]), OWNERS):
        kept["choices"].append(_choice(made, owner))
        path.write_text(json.dumps(kept) + "\n", encoding="utf-8")
        print(task, owner, kept["choices"][-1], flush=True)
    kept["advantages"] = _advantages(made, kept["choices"])
    path.write_text(json.dumps(kept) + "\n", encoding="utf-8")


def _choice(made: Made, owner: int) -> str:
    """Return the release that the owner's search ends with."""
    config = AuditConfig.from_dict({**made.config.to_dict(), "quantizers": ("protect",), "seed": owner})
    own = made.todo.pool.take(made.todo.members[owner])
    pool, choosing = set_aside(own, share=CHOOSING, seed=owner)
    parts = Parts(pool, choosing, made.public, given=True)
    tried = search(config, parts, max_drop=MAX_DROP, folder=None, progress=silent)
    return next(one.quantizer for one in tried if one.advantage is not None)


def _advantages(made: Made, choices: list[str]) -> dict[str, list[float]]:
    members = made.todo.members
    tables = {choice: made.table(made.released(choice)) for choice in sorted(set(choices))}
    by_choice = {choice: _scores(table, made) for choice, table in tables.items()}
    known = np.stack([by_choice[choice][owner] for owner, choice in enumerate(choices)])
    mixed = LossTable.stack([tables[choice].of([owner]) for owner, choice in enumerate(choices)])
    both = weighed(known, evidence_of_choice(choices, members), members)
    found = {"known": known, "chosen": _scores(mixed, made), "both": both}
    return {name: achieved(scores, members)[0].round(5).tolist() for name, scores in found.items()}


def _scores(table: LossTable, made: Made) -> Floats:
    context = Context(table, features=made.features)
    return build_attack(ATTACK).scores(context, range(len(table.members)))


def weighed(scores: Floats, evidence: Floats, members: Bools) -> Floats:
    """Return log-odds of membership by a logistic regression on both, learnt on the other owners, (t, n)."""
    pair, both = pairs_of(members), np.stack([scores, evidence], axis=-1)
    found = np.empty(scores.shape)
    for target in range(len(members)):
        others = pair != pair[target]
        learnt = LogisticRegression().fit(both[others].reshape(-1, 2), members[others].ravel())
        found[target] = learnt.decision_function(both[target])
    return found


def evidence_of_choice(choices: list[str], members: Bools) -> Floats:
    """Return the log-odds of membership that each owner's choice tells about each record, (t, n).

    Counted over the other owners, the target's complement left out as well: how often those who trained on the record
    chose so, over how often those who did not; both shrunk by one owner towards the share of all.

    Examples
    --------
    >>> halves = np.array([[1, 0], [0, 1], [1, 0], [1, 1], [0, 0], [0, 1]], bool)
    >>> evidence_of_choice(["a", "b", "a", "a", "b", "b"], halves)[0].round(1).tolist()
    [1.1, 1.1]
    """
    named, pair = np.array(choices), pairs_of(members)
    found = np.zeros(members.shape)
    for target in range(len(members)):
        others = pair != pair[target]
        same, inside = (named[others] == named[target]).astype(float), members[others].astype(float)
        share = (same.sum() + 0.5) / (len(same) + 1)
        rates = [(same @ held + share) / (held.sum(0) + 1) for held in (inside, 1 - inside)]
        found[target] = np.log(rates[0]) - np.log(rates[1])
    return found
