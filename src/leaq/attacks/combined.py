"""The strongest attack: everything the attacker sees, weighed by what worked on models whose members he knows.

Each signal - the output's, normalised and raw, in regression also the logarithm of its square, for whoever holds the
file also the loss gradients' - becomes evidence about each record through the hierarchical likelihood ratio of
`leaq.attacks.hierarchical`. A ridge-penalised logistic regression on the evidence of other models, in which the
attacker knows who was a member, says how much each piece is worth.

In a second step the log-odds found so far, of all records, say what neighbours' memberships did to each record's margin
or residual (`leaq.attacks.neighbours`); what is left of these is further evidence, and all of it is weighed anew, by
the record's shift, level and narrowing too. Where nobody knows which records are alike, there is one step.

Cross-fitted: a target, its exact complements and the other targets of its fold are left out of everything the weights
are learnt from, as targets and as shadows; the models the weights are learnt from are scored by shadows that exclude
themselves too. So what the selection of evidence gains by chance on its own models counts for nothing.

Own method. Combining attack signals by learning on shadow models is due to Shokri et al. (arXiv 1610.05820v2); logistic
stacking to Wolpert (1992), Neural Networks 5:241.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import fields
from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import model_validator

from leaq.attacks.base import Access, Context, Ingredient, MembershipAttack
from leaq.attacks.decisions import pairs_of
from leaq.attacks.file import ReadFile
from leaq.attacks.hierarchical import EVIDENCE, OF_THE_RECORD, Predictive, predictive
from leaq.attacks.neighbours import FREED, SURE, Freed, Hood, freed
from leaq.attacks.shadows import Shadows
from leaq.attacks.signals import Signals, together
from leaq.errors import NotEnoughEvidence, listed_names
from leaq.seeds import stream
from leaq.stats.logistic import ridge_logistic
from leaq.types import Bools, Floats, Ints, LossTable

CODES = "codes."
"""What kinds of numbers start with that are one a record (`leaq.models.numbers.read_codes`)."""
FOLDS = 4
"""Parts of the models that are attacked with weights learnt on the other parts."""
FEWEST_PAIRS = 4
"""Pairs of complementary models: one attacked, one to learn the weights from, two as its shadows."""
ROWS = 30_000
"""Record-model pairs the weights are learnt from, at most."""
SHARED = 2**23
"""Numbers that are kept for the other attack, about."""
AT_ONCE = 2**18
"""Numbers of several signals whose shadows are fitted together, about."""
PENALTY = 0.1
"""Inverse strength of the ridge penalty on standardised evidence."""
Part = tuple[Floats, Ints | slice]
"""A signal (s, m), and which of the records it is about."""
Weights = Sequence[tuple[Floats, float]]
"""What each piece of evidence is worth, and a constant: of a first step, and of a second one."""


class Combined(MembershipAttack):
    """All signals of the attacker, weighed by what worked on shadow models; leads the table.

    Direction: smaller is safer. Range: advantage in [-1, 1]. A lower bound on the leak of the game played: the
    strongest attack tried here, not the strongest there is. Do not trust when there are fewer than about 12 models: the
    weights then rest on few.

    sees : "file": the released file, weights included; "outputs": the model's answers alone.

    Raises
    ------
    NotEnoughEvidence
        If there are fewer than 8 models, or a record is in (or out of) none of a target's shadows.

    Examples
    --------
    >>> Combined(sees="outputs").spec(), Combined().access
    ('combined(sees=outputs)', 'file')
    """

    name: ClassVar[str] = "combined"
    place: ClassVar[int] = 8
    source: ClassVar[str] = "own; stacking: arXiv 1610.05820v2"
    examples: ClassVar[tuple[str, ...]] = ("combined(sees=outputs)", "combined", "combined(codes=True)")
    # Learning the weights anew without each pair of models would cost as often as much.
    jackknife: ClassVar[bool] = False

    joins: ClassVar[bool] = True

    sees: Literal["outputs", "file"] = "file"
    codes: bool = False
    """Whether the codes of the first layer are read too, record by record: worth it for sparse ones, whose zeros are a
    function of the members."""
    needs: ClassVar[tuple[Ingredient, ...]] = ("shadows", "scores")
    """Shadows and scores; statistics of the weights are used where the table has them."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.codes and self.sees == "outputs":
            raise ValueError("codes are in the file, which sees=outputs does not see")
        return self

    @property
    def uses(self) -> tuple[Ingredient, ...]:
        """For who holds the file, whatever it tells beside the outputs."""
        more: tuple[Ingredient, ...] = ("whitebox", "features", "numbers") if self.sees == "file" else ()
        return (*self.needs, *more)

    @property
    def forecast(self) -> bool:
        return self.sees == "outputs"

    @property
    def access(self) -> Access:
        return self.sees

    def scores(self, context: Context, targets: Sequence[int], excluded: Sequence[int] = ()) -> Floats:
        """Return the log-odds of membership by the learnt weights, (t, n)."""
        members, pairs = context.table.members, pairs_of(context.table.members)
        # Who holds the file reads the outputs too: what they say is found once.
        keep = self.sees == "outputs" and not context.beside
        parts = self._signals(context)
        evidence = _Evidence(parts, context, hoods=self._hoods(context, parts), files=self._files(context), keep=keep)
        usable = np.setdiff1d(np.unique(pairs), pairs[list(excluded)])
        scores = np.empty((len(targets), members.shape[1]))
        folds = _folds(usable, pairs[list(targets)])
        # What shadows say does not depend on the fold: in a small pool all targets are looked at in one go.
        step = len(folds) if len(targets) * members.shape[1] <= AT_ONCE else 1
        for start in range(0, len(folds), step):
            learnt = []
            for fold in folds[start : start + step]:
                learnt_on = np.setdiff1d(usable, fold)
                if len(learnt_on) < FEWEST_PAIRS - 1:
                    raise NotEnoughEvidence(
                        f"{self.spec()} needs at least {2 * FEWEST_PAIRS} models in complementary pairs: a target's, "
                        f"and 3 to learn from. Found {2 * len(learnt_on)} beside the targets. Add --replicates or "
                        "--shadows."
                    )
                out = [*excluded, *np.flatnonzero(np.isin(pairs, fold))]
                weights = _learnt(evidence, pairs, learnt_on, members, out=out, seed=context.resampling.seed)
                learnt.append((np.flatnonzero(np.isin(pairs[list(targets)], fold)), weights))
            rows = np.sort(np.concatenate([mine for mine, _ in learnt]))
            here = [(np.searchsorted(rows, mine), weights) for mine, weights in learnt]
            scores[rows] = _combined(evidence, here, [targets[row] for row in rows], excluded)
        return scores

    def _signals(self, context: Context) -> list[Part]:
        """Return every signal of every release, of several releases their mean too, which random rounding spares.

        Of several targets also each task's, over the records that have its label.
        """
        every = slice(None)
        found: list[Part] = [(signal, every) for signal in self._joint(context)]
        for one in context.releases:
            for name, part in one.table.by_task.items():
                rows = one.table.rows_of(name)
                found += [(signal, rows) for signal in Signals(part).outputs]
        return found

    def _joint(self, context: Context) -> list[Floats]:
        releases = context.releases
        kinds = [[one.outputs for one in releases]]
        kinds += [[one.gradients for one in releases]] if self.sees == "file" else []
        found = [signal for kind in kinds for each in kind for signal in each]
        if self.codes:
            held = [kept for release in releases for kept in (release.table.numbers or {}).items()]
            found += [one for kind, one in held if kind.startswith(CODES)]
        if len(releases) > 1:
            found += together(releases)
            found += [np.mean(same, axis=0) for same in zip(*kinds[-1], strict=True)] if self.sees == "file" else []
        return found

    def _hoods(self, context: Context, parts: Sequence[Part]) -> list[Hood | None]:
        """Return which records are alike, for the signals that their memberships move; an empty list if nobody knows.

        For margins and residuals of all records: what outputs say of neighbours, gradients and squares say again.
        """
        if not context.has("features"):
            return []
        signed = [one for release in context.releases for one in release.signed]
        hood = Hood.of(context)
        return [hood if any(signal is one for one in signed) else None for signal, _ in parts]

    def _files(self, context: Context) -> list[LossTable]:
        """Return the releases whose files' numbers are read."""
        reads = self.sees == "file" and context.has("numbers") and context.has("features")
        return [one.table for one in context.releases if reads and one.table.numbers is not None]

    def knows(self, context: Context) -> str:
        if context.beside:
            several = f"{len(context.releases)} quantized releases of the model"
            sees = f"holds {several}, files and all" if self.sees == "file" else f"sees the outputs of {several}"
        elif self.sees == "outputs":
            sees = "sees the quantized model's outputs"
        else:
            used = ["outputs"]
            used += ["loss gradients by the quantized weights"] if context.signals.gradients else []
            used += ["every number that is no code"] if self._files(context) else []
            used += ["the first layer's codes"] if self.codes else []
            sees = f"holds the released file, of which it uses {listed_names(used)}"
        alike = " and which of its records are alike" if context.has("features") else ""
        return (
            f"{sees}; knows the pool{alike}, the training rule and the quantizer; {context.shadows_of()} shadow "
            "models, on which the signals are weighed"
        )

    def title(self) -> str:
        who = "holds the file" if self.sees == "file" else "sees the outputs"
        return f"combined attack of who {who}" + " and reads its codes" * self.codes

    def short(self) -> str:
        return f"Combined, {self.sees}" + " and codes" * self.codes

    def explain(self) -> str:
        return "Weighs every signal by what it was worth on shadow models, cross-fitted; the strongest attack here."


class _Evidence:
    """What all signals of a model say of each record."""

    def __init__(
        self,
        parts: Sequence[Part],
        context: Context,
        *,
        hoods: Sequence[Hood | None],
        files: Sequence[LossTable],
        keep: bool,
    ) -> None:
        self._parts = parts
        self._shared, self._keep = context.shared, keep
        self._files = [ReadFile.of(context, table) for table in files]
        self._records = context.table.members.shape[1]
        whole = [isinstance(rows, slice) for _, rows in parts]
        self._shadows = [
            context.shadows(signal) if every else Shadows(signal, context.table.members[:, rows])
            for every, (signal, rows) in zip(whole, parts, strict=True)
        ]
        self._hoods = hoods

    def of(self, targets: Sequence[int], excluded: Sequence[int]) -> Floats:
        """Return (t, n, 6 a signal, and 1 a file's numbers), tamed: the logarithm of what is far from 0."""
        parts = self._known(targets, excluded)
        parts += [file.scores(targets, excluded)[:, :, None] for file in self._files]
        return _tamed(parts)

    @property
    def knows_neighbours(self) -> bool:
        """Whether it is known which records are alike."""
        return any(hood is not None for hood in self._hoods)

    def given(self, alone: Floats, odds: Floats, targets: Sequence[int], excluded: Sequence[int]) -> Floats:
        """Return what signals freed of neighbours' memberships say, of which `odds` (t, n) are the log-odds.

        (t, n, 14 a signal): 4 tamed (see `leaq.attacks.neighbours`), 3 of these times each of the 3 that `alone`, from
        `of`, says of the record itself, since not all are to be believed alike; the log-likelihood ratio untamed.
        """
        found = []
        for place, hood in enumerate(self._hoods):
            if hood is not None:
                rows, one = self._freed(place, hood, targets, excluded)
                said = one.evidence(self._parts[place][0][list(targets)], odds, rows)
                tamed, record = _tamed([said]), alone[..., len(EVIDENCE) * place :][..., OF_THE_RECORD : len(EVIDENCE)]
                crossed = tamed[..., :OF_THE_RECORD, None] * record[..., None, :]
                found += [tamed, crossed.reshape(*crossed.shape[:2], -1), np.clip(said[..., :1], -SURE, SURE)]
        return np.concatenate(found, axis=2)

    def _freed(self, place: int, hood: Hood, targets: Sequence[int], excluded: Sequence[int]) -> tuple[Ints, Freed]:
        """Return by which shadows each target's signal is freed, and how; what was found already where it was kept."""
        signal, asked = self._parts[place][0], _asked(targets, excluded)
        known = self._shadows[place]
        found: tuple[Ints, Freed] | None = self._recalled("freed", signal, asked)
        if found is None:
            rows, first = known.alike(targets, excluded)
            alone: Predictive | None = self._recalled("alone", signal, asked)
            if alone is None:
                alone = predictive(known.of_all(first, excluded, attack="combined"))
            found = rows, freed(signal, known, hood, first, alone=alone, excluded=excluded)
            self._remember("freed", signal, asked, found, size=FREED * len(first) * self._records)
        return found

    def _recalled(self, kind: str, signal: Floats, asked: Hashable) -> Any:
        """Return what another attack found of a signal and kept; None where it kept nothing."""
        kept = self._shared.get((kind, id(signal), asked))
        return kept[1] if kept is not None and kept[0] is signal else None

    def _remember(self, kind: str, signal: Floats, asked: Hashable, found: object, *, size: int) -> None:
        """Keep what was found of a signal for other attacks, where all that is kept of its kind is small enough."""
        held = sum(key[0] == kind for key in self._shared)
        if self._keep and size * (held + 1) <= SHARED:
            # The signal too, so that no other one takes its place in memory.
            self._shared[kind, id(signal), asked] = (signal, found)

    def _known(self, targets: Sequence[int], excluded: Sequence[int]) -> list[Floats]:
        """Return what each signal says, from what another attack found of the same ones where that was kept."""
        said: dict[int, Floats] = {}
        asked = _asked(targets, excluded)
        for place, (signal, _) in enumerate(self._parts):
            if (kept := self._recalled("evidence", signal, asked)) is not None:
                said[place] = kept
        for places in self._together([place for place in range(len(self._parts)) if place not in said], len(targets)):
            said |= zip(places, self._of_signals(places, targets, excluded), strict=True)
            for place in places:
                self._remember("evidence", self._parts[place][0], asked, said[place], size=said[place].size)
        return [said[place] for place in range(len(self._parts))]

    def _together(self, places: Sequence[int], targets: int) -> Iterable[Sequence[int]]:
        """Yield the signals whose shadows are fitted in one go: those of all records, as many as are cheap to hold."""
        whole = [place for place in places if isinstance(self._parts[place][1], slice)]
        step = max(1, AT_ONCE // (targets * self._records))
        yield from (whole[start : start + step] for start in range(0, len(whole), step))
        yield from ([place] for place in places if place not in whole)

    def _of_signals(self, places: Sequence[int], targets: Sequence[int], excluded: Sequence[int]) -> Iterable[Floats]:
        """Yield (t, n, 6) a signal: a target and its complement have the same shadows, which are fitted once.

        A record that a signal says nothing of has zeros, which is what no evidence is.
        """
        row, first = self._shadows[places[0]].alike(targets, excluded)
        parts = [self._shadows[place].of_all(first, excluded, attack="combined") for place in places]
        fitted = predictive(parts[0].joined(parts[1:]))
        for number, place in enumerate(places):
            signal, rows = self._parts[place]
            if self._hoods and self._hoods[place] is not None:
                alone = fitted.of(slice(number * len(first), (number + 1) * len(first)))
                asked = _asked(targets, excluded)
                self._remember("alone", signal, asked, alone, size=len(fields(alone)) * alone.mean_in.size)
            said = fitted.evidence(signal[list(targets)], row + number * len(first))
            if isinstance(rows, slice):
                yield said
                continue
            found = np.zeros((len(targets), self._records, said.shape[2]))
            found[:, rows] = said
            yield found


def _asked(targets: Sequence[int], excluded: Sequence[int]) -> Hashable:
    """Return of which targets, with which models excluded, something is known."""
    return tuple(targets), tuple(sorted(int(one) for one in excluded))


def _tamed(parts: Sequence[Floats]) -> Floats:
    """Return evidence side by side, the logarithm of what is far from 0."""
    found = np.concatenate(parts, axis=2)
    return np.asarray(np.copysign(np.log1p(np.abs(found)), found))


def _folds(usable: Ints, wanted: Ints) -> list[Ints]:
    """Return groups of pairs that are attacked with the same weights: each wanted one is in one, the others teach all.

    Pairs that are not usable teach nothing, so that all of them can be attacked at once.
    """
    parts = [usable[start::FOLDS] for start in range(min(FOLDS, len(usable)))]
    held = [np.intersect1d(part, wanted) for part in (*parts, np.setdiff1d(wanted, usable))]
    return [part for part in held if len(part)]


def _learnt(
    evidence: _Evidence, pairs: Ints, learnt_on: Ints, members: Bools, *, out: Sequence[int], seed: int
) -> Weights:
    """Return what evidence is worth, before and after neighbours, learnt on models none of which is `out`."""
    rng = stream(seed, "combined", *sorted(int(i) for i in out))
    models = rng.permutation(np.flatnonzero(np.isin(pairs, learnt_on)))
    enough = max(2, ROWS // members.shape[1])
    models = np.sort(models[:enough])
    each = ROWS // len(models)
    rows: list[Any] = [slice(None)] * len(models)
    if each < members.shape[1]:
        rows = [rng.permutation(members.shape[1])[:each] for _ in models]
    y = np.concatenate([members[m, kept] for m, kept in zip(models, rows, strict=True)])

    def weighed(found: Floats) -> tuple[Floats, float]:
        x = np.concatenate([one[kept] for one, kept in zip(found, rows, strict=True)])
        centre = x.mean(0)
        x -= centre
        spread = np.maximum(np.sqrt(np.einsum("np,np->p", x, x) / len(x)), 1e-9)
        x /= spread
        weights, constant = ridge_logistic(x, y, strength=PENALTY)
        weights = weights / spread
        return weights, constant - float(centre @ weights)

    alone = evidence.of(models.tolist(), out)
    first = weighed(alone)
    if not evidence.knows_neighbours:
        return [first]
    odds = alone @ first[0] + first[1]
    return [first, weighed(np.concatenate([alone, evidence.given(alone, odds, models.tolist(), out)], axis=2))]


def _combined(
    evidence: _Evidence, learnt: Sequence[tuple[Ints, Weights]], targets: Sequence[int], excluded: Sequence[int]
) -> Floats:
    """Return the log-odds of targets, (t, n), by what was learnt for some of their rows each."""
    found = evidence.of(targets, excluded)
    odds: Floats = np.empty(found.shape[:2])
    for step in range(len(learnt[0][1])):
        if step:
            found = np.concatenate([found, evidence.given(found, odds, targets, excluded)], axis=2)
        for rows, weights in learnt:
            worth, constant = weights[step]
            odds[rows] = found[rows] @ worth + constant
    return odds
