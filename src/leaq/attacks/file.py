"""The attack on the released file: every number in it is an equation about who is in the training data.

Means and scales of standardisation fitted on the members are sums over the members of features the attacker knows:
X^T m = n mean, a linear system in the membership vector m. Other numbers follow the same sums less strictly. A column
of a fingerprint that no member sets is never trained, so the weights of its inputs keep the spread they were drawn
with, and those of a column that few members set have moved by about as much as there are members that set it. So

    u_j = a_j + b_j sum_i F_ij m_i + noise of variance s_j

with F the features, or these times the target. Slopes b, levels a and variances s are learned on the shadow models:
pooled over columns of equal weight in the pool and shrunk to each column's own (empirical Bayes). All equations are
solved together for the posterior mean of m under fair coins: ridge regression, each equation weighted by its precision.
A number published in full precision has next to no noise and the solution becomes least squares; one that does not
depend on the members has no slope and drops out. Numbers without an order of their own (biases, norms, quantizer
scales) enter by their similarity to the shadows'.

Sources: the likelihood-ratio game is that of Carlini et al. (arXiv 2112.03570v2); membership from published means:
Homer et al., "Resolving Individuals Contributing Trace Amounts of DNA" (PLoS Genetics 4, e1000167), and Dwork et al.,
"Robust Traceability from Trace Amounts" (FOCS 2015). Reading first-layer columns as such means is our choice.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from leaq.attacks.base import Access, Context, Ingredient, MembershipAttack
from leaq.attacks.equations import DESIGNS, PRECISION, ROUNDING, Equations
from leaq.attacks.shadows import Shadows
from leaq.errors import InvalidInput
from leaq.types import Floats, Ints, LossTable

ATTACKER = (
    "holds the released file: its standardisation, biases, norms and quantizer scales, and the weights of the first "
    "layer column by column (zeros included); computes no outputs; knows the pool, the training rule and the "
    "quantizer; {s} shadow models"
)

UNORDERED = ("bias", "norm", "scales")
"""Kinds whose numbers have no feature each."""


class File(MembershipAttack):
    """Read memberships off the numbers of the released file, without running the model once.

    Direction: smaller is safer; compare with lira, which sees outputs only. Range: advantage in [-1, 1]. Do not trust a
    quiet result as proof that the file is safe: outputs and gradients are not looked at here, and wide inputs that all
    members share (dense columns) say little. A lower bound on the leak of the game played.

    Raises
    ------
    InvalidInput
        If features do not fit the numbers.
    NotEnoughEvidence
        If the table holds no numbers (see `leaq.evaluation.with_numbers`), or there are fewer than 4 shadows.
    """

    name: ClassVar[str] = "file"
    place: ClassVar[int] = 7
    source: ClassVar[str] = "own; membership from published means: PLoS Genetics 4, e1000167"
    examples: ClassVar[tuple[str, ...]] = ("file",)
    jackknife: ClassVar[bool] = False  # solving anew without each pair of models would cost as often as much
    needs: ClassVar[tuple[Ingredient, ...]] = ("shadows", "features", "numbers")
    access: ClassVar[Access] = "file"

    def scores(self, context: Context, targets: Sequence[int], excluded: Sequence[int] = ()) -> Floats:
        """Return log-likelihood ratios as far as the file tells, (t, n)."""
        return ReadFile.of(context, context.table).scores(targets, excluded)

    def knows(self, context: Context) -> str:
        return ATTACKER.format(s=context.shadows_of())

    def title(self) -> str:
        return "attack on the numbers of the released file"

    def short(self) -> str:
        return "File"

    def explain(self) -> str:
        return "Solves for the members the equations that scalers, first-layer columns, biases and scales are."


class ReadFile:
    """The numbers of the models' files, and what of them does not depend on who is attacked.

    Parameters
    ----------
    table : with numbers.
    features : (n, d) of the pool.
    """

    @classmethod
    def of(cls, context: Context, table: LossTable) -> "ReadFile":
        """Return the file of one release of a context, read once for all attacks that read it."""
        assert context.features is not None
        key = "file", id(table)  # the context holds its tables, so that no other one takes this place in memory
        if key not in context.shared:
            context.shared[key] = cls(table, context.features)
        found: ReadFile = context.shared[key]
        return found

    def __init__(self, table: LossTable, features: Floats) -> None:
        numbers = _checked(table, features)
        self._found: dict[int, Floats] = {}
        self._members = table.members
        self._shadows = Shadows(table.released, table.members)
        self._equations = Equations(numbers, np.asarray(features, np.float64), table)
        loose = [values for kind, values in numbers.items() if kind in UNORDERED and values.shape[1]]
        self._loose = np.concatenate(loose, axis=1) if loose else None

    def scores(self, targets: Sequence[int], excluded: Sequence[int] = ()) -> Floats:
        """Return log-likelihood ratios as far as the file tells, (t, n): higher = more likely a member.

        Models that are `excluded` are nobody's shadows.
        """
        if excluded:
            return self._scores(targets, excluded)
        new = [target for target in targets if target not in self._found]
        if new:
            self._found |= zip(new, self._scores(new, ()), strict=True)
        return np.stack([self._found[target] for target in targets])

    def _scores(self, targets: Sequence[int], excluded: Sequence[int]) -> Floats:
        others = [tuple(self._shadows.models(target, excluded, attack="file").tolist()) for target in targets]
        scores = self._equations.log_ratios(targets, others)
        if self._loose is not None:
            for shadows in dict.fromkeys(others):  # a target and its complement have the same ones
                rows = [row for row, mine in enumerate(others) if mine == shadows]
                scores[rows] += self._by_similarity([targets[row] for row in rows], list(shadows))
        return scores

    def _by_similarity(self, targets: Sequence[int], shadows: Sequence[int]) -> Floats:
        """Return the log-likelihood ratio of each record by whose loose numbers a target's resemble, (t, n).

        The linear discriminant in its dual form: mean similarity to the shadows with the record minus that to those
        without. What a unit of it is worth is learned on the shadows, each attacked with the others.
        """
        assert self._loose is not None
        there, members = self._loose[shadows], self._members[shadows]
        spread = there.std(0)
        kept = spread > ROUNDING * np.abs(there).max(0)
        nothing: Floats = np.zeros((len(targets), members.shape[1]))
        if not kept.any():
            return nothing
        centre = there[:, kept].mean(0)
        standard, mine = ((values[:, kept] - centre) / spread[kept] for values in (there, self._loose[list(targets)]))
        signs = np.where(members, 1.0, -1.0)
        none_of = [self._shadows.excluded(model) for model in shadows]
        beside = np.array([[i not in out for i in shadows] for out in none_of])
        tried = _resemblance(np.where(beside, standard @ standard.T / kept.sum(), 0.0), signs, beside.sum(1))
        gap = tried[members].mean() - tried[~members].mean()
        noise = (tried[members].var() + tried[~members].var()) / 2
        if not (gap > 0 and noise > 0):
            return nothing
        alike = mine @ standard.T / kept.sum()
        return np.asarray(gap / noise * _resemblance(alike, signs, np.full(len(targets), len(shadows))))


def members_from_statistics(
    features: Floats, mean: Floats, scale: Floats | None = None, *, members: int, precision: float = PRECISION
) -> Floats:
    """Return how likely each record of a pool is to be among those that published statistics were computed from, (n,).

    For a scaler in front of a network, or the running statistics of a batch normalisation of its inputs: needs neither
    the network nor shadow models. Posterior mean of membership (about 0 to 1); higher = more likely a member.

    Parameters
    ----------
    features : (n, d) of the pool, which holds all members.
    mean, scale : (d,) published over the members; ``scale`` is the root of the mean squared deviation.
    members : how many they are.
    precision : noise of the published numbers, in parts of their spread over draws of members.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> pool, inside = rng.normal(size=(40, 60)), np.arange(40) < 20
    >>> found = members_from_statistics(pool, pool[inside].mean(0), members=20)
    >>> bool((found[inside] > 0.9).all() and (found[~inside] < 0.1).all())
    True

    Raises
    ------
    InvalidInput
        If shapes differ, a value is not finite, or members are not between 1 and the size of the pool.
    """
    x = np.asarray(features, np.float64)
    known = [np.asarray(mean, np.float64)] + ([] if scale is None else [np.asarray(scale, np.float64)])
    if x.ndim != 2 or any(values.shape != x.shape[1:] for values in known):
        found = ", ".join(str(values.shape) for values in (x, *known))
        raise InvalidInput(f"Published statistics need features (n, d) and as many means and scales. Found {found}.")
    if not all(np.isfinite(values).all() for values in (x, *known)):
        raise InvalidInput("Published statistics and features must be finite. Found NaN or infinite values.")
    if not 0 < members < len(x):
        raise InvalidInput(f"members must be between 1 and {len(x) - 1}, fewer than the pool. Found {members}.")
    designs, sums = [x], [known[0]]
    if scale is not None:
        # The square of a bit is the bit; and a scale of exactly 1 stands for a column that is constant among members.
        told = ~((x == 0) | (x == 1)).all(0) & (known[1] != 1)
        designs.append(x[:, told] ** 2)
        sums.append((known[1] ** 2 + known[0] ** 2)[told])
    share = members / len(x)
    design = np.concatenate(designs, axis=1)
    centre = design.mean(0)
    design = design - centre
    spread = np.sqrt((design**2).sum(0) * share * (1 - share))  # of the sum over members drawn at random
    kept = spread > 1e-12 * max(1.0, float(np.abs(centre).max()))
    design = design[:, kept] / (precision * spread[kept])
    right = members * (np.concatenate(sums) - centre)[kept] / (precision * spread[kept])
    left, values, back = np.linalg.svd(design, full_matrices=False)
    solution = left @ (values / (values**2 + 1 / (share * (1 - share))) * (back @ right))
    return np.asarray(share + solution)


def _checked(table: LossTable, features: Floats) -> Mapping[str, Floats]:
    if table.numbers is None:
        raise InvalidInput(
            "file: the table must hold the numbers of the released files. evaluation.with_numbers adds them."
        )
    features = np.asarray(features)
    if features.ndim != 2 or len(features) != table.members.shape[1]:
        raise InvalidInput(
            f"file: features must be ({table.members.shape[1]}, d), one row a record. Found {features.shape}."
        )
    for kind, values in table.numbers.items():
        if kind in DESIGNS and not kind.startswith("target.") and values.shape[1] != features.shape[1]:
            raise InvalidInput(
                f"file: {kind} must have one number a feature. Found {values.shape[1]} numbers and "
                f"{features.shape[1]} features."
            )
    if not np.isfinite(features).all():
        raise InvalidInput("file: features must be finite. Found NaN or infinite ones.")
    return table.numbers


def _resemblance(alike: Floats, signs: Floats, count: Ints) -> Floats:
    """Mean similarity (t, o) of models to the shadows with each record minus that to those without, centred, (t, n)."""
    found = alike @ signs / count[:, None]
    return np.asarray(found - found.mean(1, keepdims=True))
