"""Shadow models of any architecture, from records to loss tables: train, quantize every way, keep the logits.

The command line and `leaq.pipeline` train the built-in perceptron. This is the same flow for any torch module, for
those who attack their own architecture: what is kept of a model is its losses and outputs, so memory does not grow
with the size of the models, and every quantizer is served by one training.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from leaq.errors import InvalidInput
from leaq.evaluation import evaluate, with_numbers, with_whitebox
from leaq.protocols import Model
from leaq.quantizers import Identity, Scheme
from leaq.training import TrainingConfig, chunks, train, train_modules
from leaq.training.modules import Make
from leaq.types import Bools, Checkpoints, Flag, LossTable, Progress, Samples, silent

__all__ = ["Recipe", "shadow_tables"]

CHUNK = 16
"""Copies of a torch module trained in one tensor program where the configuration does not say."""


@dataclass(frozen=True)
class Recipe:
    """How every model is made, target or shadow.

    Attributes
    ----------
    training : optimiser, epochs and so on; ``chunk`` says how many models are trained at once (if not given, as many
        perceptrons as memory allows, or 16 copies of a module).
    make : builds one freshly initialised torch module; None for the built-in perceptron.
    seed : root seed of initial weights and batches.
    """

    training: TrainingConfig
    make: Make | None = None
    seed: int = 0


def shadow_tables(
    samples: Samples,
    members: Bools,
    quantizers: Sequence[Scheme],
    recipe: Recipe,
    *,
    progress: Progress = silent,
) -> dict[str, LossTable]:
    """Train one model per row of `members` and return its losses under every quantizer, by specification.

    Every model is a target and the others' shadow; each table goes into any attack of `leaq.attacks`. Full precision
    is always there, as "none", for the non-adaptive attack.

    Parameters
    ----------
    members : (s, n), e.g. from `leaq.data.splits.halves`, which keeps complementary pairs together.
    quantizers : what every released model goes through, shadows as well as targets.
    recipe : how every model is made.

    Examples
    --------
    >>> import torch
    >>> from leaq.data import load
    >>> from leaq.data.splits import halves
    >>> from leaq.attacks.lira import Lira
    >>> from leaq.quantizers import Sign
    >>> wine = load("wine")
    >>> recipe = Recipe(TrainingConfig(epochs=2), make=lambda: torch.nn.Linear(13, 3))
    >>> tables = shadow_tables(wine, halves(wine, 8, seed=0), [Sign()], recipe)
    >>> adversary = Lira(shadows="full_precision")
    >>> sorted(tables), adversary(tables["sign"], reference=tables["none"]).attack
    (['none', 'sign'], 'lira(shadows=full_precision)')
    """
    if members.shape[0] < 2:
        raise InvalidInput(f"shadow_tables: needs at least 2 models. Found {members.shape[0]}.")
    released_only = TrainingConfig.from_dict({**recipe.training.to_dict(), "checkpoints": 1})
    recipe = replace(recipe, training=released_only)
    everything = tuple(dict.fromkeys((Identity(), *quantizers)))
    parts: list[dict[str, LossTable]] = []
    for which in _parts(samples, len(members), recipe):
        parts.append(_chunk(samples, members, everything, recipe, which=which))
        progress("models", which.stop, len(members))
    return {spec: LossTable.stack([part[spec] for part in parts]) for spec in parts[0]}


def _parts(samples: Samples, models: int, recipe: Recipe) -> list[slice]:
    """Return which models are trained together: the more, the less each step's fixed cost weighs."""
    training = recipe.training
    if recipe.make is not None and training.chunk is None:
        training = TrainingConfig.from_dict({**training.to_dict(), "chunk": CHUNK})
    return chunks(samples, models, training)


def _chunk(
    samples: Samples,
    members: Bools,
    quantizers: Sequence[Scheme],
    recipe: Recipe,
    *,
    which: slice,
) -> dict[str, LossTable]:
    here = members[which]
    model, checkpoints, flags = _trained(samples, here, recipe, first=which.start)
    released = checkpoints.last()
    found = {}
    for quantizer in quantizers:
        quantized = quantizer(released)
        table = evaluate(model, quantized, samples, here, quantizer=quantizer.spec())
        table = with_numbers(with_whitebox(table, model, quantized, samples), quantized, samples)
        found[quantizer.spec()] = replace(table, flags=(*table.flags, *flags))
    return found


def _trained(
    samples: Samples, members: Bools, recipe: Recipe, *, first: int
) -> tuple[Model, Checkpoints, tuple[Flag, ...]]:
    if recipe.make is None:
        return (*train(samples, members, recipe.training, seed=recipe.seed, first=first), ())
    model, checkpoints = train_modules(recipe.make, samples, members, recipe.training, seed=recipe.seed, first=first)
    return model, checkpoints, () if model.note is None else (model.note,)
