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

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from leaq.attacks.scoring import Attack, Protocol, attack_result, chosen_targets
from leaq.attacks.shadows import FEWEST_SHADOWS, Shadows, number_of_shadows
from leaq.errors import InvalidInput, NotEnoughEvidence
from leaq.types import AttackResult, Bools, Floats, Ints, LossTable

__all__ = ["ATTACKER", "file", "file_scores", "members_from_statistics"]

ATTACKER = (
    "holds the released file: its standardisation, biases, norms and quantizer scales, and the weights of the first "
    "layer column by column (zeros included); computes no outputs; knows the pool, the training rule and the "
    "quantizer; {s} shadow models"
)
PRECISION = 1e-5
"""Noise of a published number, in parts of its spread over models, below which none is believed (float32 and more)."""
GROUPS = 8
"""Groups of columns, by their variance in the pool, that slopes and noise are pooled in."""
PRIOR = 8.0
"""Degrees of freedom with which a column's own noise is shrunk to its group's."""
ROUNDING = 1e-6
"""Numbers that differ between models by a smaller part of themselves are equal but for the order of additions."""
STEPS, TOLERANCE = 400, 1e-6
"""Most steps of the conjugate-gradient solver, and the squared residual it stops at, in parts of the first one."""
COIN = 4.0
"""Precision of a fair coin."""


def file(
    table: LossTable,
    features: Floats,
    *,
    targets: Sequence[int] | None = None,
    protocol: Protocol | None = None,
) -> AttackResult:
    """Tell how much the numbers of a released file give away, without running the model once.

    Direction: smaller is safer; compare with lira-online, which sees outputs only. Range: advantage in [-1, 1]. Do not
    trust a quiet result as proof that the file is safe: outputs and gradients are not looked at here, and wide inputs
    that all members share (dense columns) say little. A lower bound on the leak of the game played.

    Parameters
    ----------
    table : with ``numbers``, see `leaq.evaluation.with_numbers`.
    features : (n, d) what the models read, as the attacker knows it for the whole pool.

    Raises
    ------
    InvalidInput
        If the table holds no numbers, or features do not fit them.
    NotEnoughEvidence
        If there are fewer than 4 shadows.
    """
    chosen = chosen_targets(table, targets)
    scores = file_scores(table, features, targets=chosen)
    shadows = number_of_shadows(Shadows(table.released, table.members), chosen)
    attack = Attack("file", ATTACKER.format(s=shadows))
    return attack_result(attack, table, scores, targets=chosen, protocol=protocol or Protocol())


def file_scores(table: LossTable, features: Floats, targets: Sequence[int] | None = None) -> Floats:
    """Return each record's log-likelihood ratio as far as the file tells, (t, n): higher = more likely a member."""
    chosen = chosen_targets(table, targets)
    numbers = _checked(table, features)
    shadows = Shadows(table.released, table.members)
    others = [_others(shadows, target, len(table.members)) for target in chosen]
    scores = np.zeros((len(chosen), table.members.shape[1]))
    blocks = list(_blocks(numbers, np.asarray(features, np.float64), table))
    if blocks:
        scores += _solved(blocks, chosen, others)
    loose = [values for kind, values in numbers.items() if kind in UNORDERED and values.shape[1]]
    if loose:
        scores += _by_similarity(np.concatenate(loose, axis=1), table.members, chosen, others)
    return scores


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
        if not np.isfinite(values).all():
            raise InvalidInput(f"file: numbers must be finite. Found NaN or infinite ones in {kind}.")
    if not np.isfinite(features).all():
        raise InvalidInput("file: features must be finite. Found NaN or infinite ones.")
    return table.numbers


def _others(shadows: Shadows, target: int, models: int) -> list[int]:
    """Return the shadows of `target`, or refuse: too few teach no slope."""
    left = set(shadows.excluded(target))
    found = [model for model in range(models) if model not in left]
    if len(found) < FEWEST_SHADOWS:
        raise NotEnoughEvidence(
            f"file needs at least {FEWEST_SHADOWS} shadow models beside the target and its complement. "
            f"Found {len(found)}. Add --replicates or --shadows."
        )
    return found


# -- numbers that are sums over members ----------------------------------------------------------------------------

DESIGNS: Mapping[str, tuple[str, ...]] = {
    "scaler.mean": ("feature",),
    "scaler.square": ("square",),
    "target.mean": ("target",),
    "target.square": ("target square",),
    "columns.mean": ("feature", "signed"),
    "columns.power": ("feature", "signed"),
}
"""What each kind of number is a sum of, over the members: features of a record, or these times its target."""
UNORDERED = ("bias", "norm", "scales")
"""Kinds whose numbers have no feature each."""


@dataclass(frozen=True)
class _Block:
    """Numbers (s, m) of all models, and the design (n, m), centred, that they are sums over."""

    numbers: Floats
    design: Floats
    members: Bools

    def equations(self, target: int, others: Sequence[int]) -> tuple[Floats, Floats]:
        """Return the target's numbers and their slopes by the sums, both in units of the noise, (m,) each."""
        there, counts = self.numbers[others], (self.members[others] - 0.5) @ self.design  # (o, m)
        level, middle = there.mean(0), counts.mean(0)
        weight = (self.design**2).sum(0) / COIN  # variance of the sum over members drawn at random
        slope, doubt, noise = _slopes(there - level, counts - middle, _groups(weight))
        noise = noise * (1 + 1 / len(others)) + doubt * weight
        spread = np.sqrt(np.maximum(noise, np.maximum(PRECISION**2 * slope**2 * weight, 1e-300)))
        return (self.numbers[target] - level + slope * middle) / spread, slope / spread


def _groups(weight: Floats) -> Ints:
    """Put columns into `GROUPS` equally large groups by their weight, (m,)."""
    rank = np.argsort(np.argsort(weight, kind="stable"), kind="stable")
    return np.asarray(rank * min(GROUPS, len(weight)) // len(weight))


def _slopes(numbers: Floats, counts: Floats, group: Ints) -> tuple[Floats, Floats, Floats]:
    """Return each column's slope of numbers by counts (o, m), its variance, and the noise about it: (m,) each.

    Slopes of a group are drawn about a common one, by how much more they differ than their noise explains.
    """
    square, product, total = (counts**2).sum(0), (counts * numbers).sum(0), (numbers**2).sum(0)
    freedom = max(1, len(numbers) - 2)

    def pooled(values: Floats) -> Floats:
        return np.asarray(np.bincount(group, values)[group])

    tiny = 1e-300
    common = pooled(product) / np.maximum(pooled(square), tiny)
    left = np.maximum(total - product**2 / np.maximum(square, tiny), 0.0)
    noise = pooled(left) / (pooled(np.ones(len(group))) * freedom)
    beyond = pooled((product - common * square) ** 2 - square * noise) / np.maximum(pooled(square**2), tiny)
    beyond = np.maximum(beyond, 0.0)
    trust = beyond * square / np.maximum(noise + beyond * square, tiny)  # 0: the group's slope, 1: the column's own
    slope = common + trust * (product / np.maximum(square, tiny) - common)
    doubt = beyond * (1 - trust)
    about = np.maximum(total - 2 * slope * product + slope**2 * square, 0.0)
    return slope, doubt, (about + PRIOR * noise) / (freedom + PRIOR)


def _blocks(numbers: Mapping[str, Floats], features: Floats, table: LossTable) -> Iterator[_Block]:
    """Yield every kind of ordered numbers with its designs; columns that are equal in all models tell nothing."""
    made: dict[str, Floats] = {}
    for kind, values in _ordered(numbers):
        varies = np.ptp(values, axis=0) > ROUNDING * np.abs(values).max(0)
        if kind == "scaler.square":
            varies = varies & ~((features == 0) | (features == 1)).all(0)  # the square of a bit is the bit
        for name in DESIGNS[kind]:
            design = made.get(name)
            if design is None:
                design = made[name] = _design(name, features, table)
            kept = varies & design.any(0) if design.size else np.zeros_like(varies)
            if kept.any():
                yield _Block(values[:, kept], design[:, kept], table.members)


def _ordered(numbers: Mapping[str, Floats]) -> Iterator[tuple[str, Floats]]:
    """Yield the kinds that have a number a feature (or a target), as sums: scales become mean squares."""
    for part in ("scaler", "target"):
        mean, scale = numbers.get(f"{part}.mean"), numbers.get(f"{part}.scale")
        if mean is not None:
            yield f"{part}.mean", mean
        if mean is not None and scale is not None:
            yield f"{part}.square", scale**2 + mean**2
    for kind in ("columns.mean", "columns.power"):
        if kind in numbers:
            yield kind, _standard(numbers[kind], logs=kind == "columns.power")


def _design(name: str, features: Floats, table: LossTable) -> Floats:
    """Return one design (n, m), centred over the pool; empty where the task has none."""
    targets = None if table.targets is None else np.asarray(table.targets, np.float64)[:, None]
    if name == "feature":
        design = features
    elif name == "square":
        design = features**2
    elif targets is None or (table.task == "classification" and targets.max() > 1):
        return np.empty((len(features), 0))
    elif name == "signed":
        design = features * ((targets - targets.mean()) / (targets.std() or 1.0))
    else:
        design = targets if name == "target" else targets**2
    return np.asarray(design - design.mean(0))


def _standard(values: Floats, *, logs: bool) -> Floats:
    """Take out what all columns of one model share: its training length, its scale, its quantizer; zeros if no more."""
    size = np.abs(values).mean(1, keepdims=True)
    centred = values - values.mean(1, keepdims=True)
    spread = centred.std(1, keepdims=True)
    told = spread > ROUNDING * size
    if logs:
        floored = np.log(values / np.where(size > 0, size, 1.0) + 1e-3)
        centred = floored - floored.mean(1, keepdims=True)
        spread = centred.std(1, keepdims=True)
    return np.asarray(np.where(told, centred / np.where(told, spread, 1.0), 0.0))


def _solved(blocks: Sequence[_Block], chosen: Sequence[int], others: Sequence[Sequence[int]]) -> Floats:
    """Return the log-likelihood ratio of each record from all equations of each target together, (t, n)."""
    systems = []
    for block in blocks:
        found = [block.equations(t, o) for t, o in zip(chosen, others, strict=True)]
        systems.append((block.design, *(np.stack(part) for part in zip(*found, strict=True))))  # (t, m) each

    def normal(records: Floats) -> Floats:
        """(4 + B B^T) v."""
        explained = sum(((records @ design) * slope**2) @ design.T for design, _, slope in systems)
        return np.asarray(COIN * records + explained)

    right = np.asarray(sum((number * slope) @ design.T for design, number, slope in systems))
    return COIN * conjugate_gradients(normal, right)


def conjugate_gradients(normal: Callable[[Floats], Floats], right: Floats) -> Floats:
    """Solve a positive definite system for several right-hand sides (t, n) at once; stopping early regularises."""
    found, left = np.zeros_like(right), right.copy()
    step, size = left.copy(), (left**2).sum(1, keepdims=True)
    enough = TOLERANCE * size
    for _ in range(STEPS):
        if (size <= enough).all():
            break
        image = normal(step)
        along = size / np.maximum((step * image).sum(1, keepdims=True), 1e-300)
        found += along * step
        left -= along * image
        after = (left**2).sum(1, keepdims=True)
        step = left + after / np.maximum(size, 1e-300) * step
        size = after
    return found


# -- numbers in no order -------------------------------------------------------------------------------------------


def _by_similarity(numbers: Floats, members: Bools, chosen: Sequence[int], others: Sequence[Sequence[int]]) -> Floats:
    """Return the log-likelihood ratio of each record by whose numbers (s, m) the target's resemble, (t, n).

    The linear discriminant in its dual form: mean similarity to the shadows with the record minus that to those
    without. What a unit of it is worth is learned on the shadows, each attacked with the others.
    """
    scores = np.zeros((len(chosen), members.shape[1]))
    for row, (target, shadows) in enumerate(zip(chosen, others, strict=True)):
        spread = numbers[shadows].std(0)
        kept = spread > ROUNDING * np.abs(numbers[shadows]).max(0)
        if not kept.any():
            continue
        standard = (numbers[:, kept] - numbers[shadows][:, kept].mean(0)) / spread[kept]
        alike = standard @ standard.T / kept.sum()
        tried = np.stack([_resemblance(alike, members, model, _beside(model, shadows, members)) for model in shadows])
        inside = members[list(shadows)]
        gap = tried[inside].mean() - tried[~inside].mean()
        noise = (tried[inside].var() + tried[~inside].var()) / 2
        if gap > 0 and noise > 0:
            scores[row] = gap / noise * _resemblance(alike, members, target, shadows)
    return scores


def _beside(model: int, shadows: Sequence[int], members: Bools) -> list[int]:
    """Return the shadows but one and its complements."""
    return [o for o in shadows if o != model and not (members[o] == ~members[model]).all()]


def _resemblance(alike: Floats, members: Bools, model: int, shadows: Sequence[int]) -> Floats:
    """Mean similarity of a model to the shadows with each record minus that to those without, centred, (n,)."""
    found = alike[model, shadows] @ np.where(members[shadows], 1.0, -1.0) / len(shadows)
    return np.asarray(found - found.mean())
