"""A training of the user's: called once a model, on that model's members; what it returns is attacked."""

import copy
import random
import sys
import warnings
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from leaq.errors import InvalidInput, LeaqError, differing, some
from leaq.evaluation.texts import LanguageModel
from leaq.models import checkpoints_of, unwrap
from leaq.models.sklearn import as_module, is_sklearn
from leaq.pipeline.cell import AuditConfig
from leaq.pipeline.subjects.base import Kind, Reads, Trained
from leaq.pipeline.subjects.given import Given
from leaq.pipeline.subjects.outputs import as_stacked_model
from leaq.seeds import shared_generators_kept, stream
from leaq.system.usercode import raised, user_function
from leaq.training.recording import Recorder
from leaq.training.recording.reading import refuse_foreign, with_released
from leaq.types import Bools, Checkpoints, Flag, Progress, Samples

Made = tuple[nn.Module, Checkpoints, Any]
"""A trained module, its weights, batch (1, c), and the tokenizer of a language model."""


@dataclass(frozen=True)
class OwnTraining:
    """Models that ``train(records, seed)`` returns, one call each.

    ``records`` holds the members as `leaq.Samples`: ``inputs`` (n, ...), ``targets`` (n,) class codes or values, of
    several targets (n, t) with NaN where a label is missing, ``task``, ``classes``, ``tasks``. ``seed`` is a whole
    number of that model's own; NumPy's, torch's and Python's generators are seeded with it, too. What comes back is a
    torch module, a scikit-learn network or linear model (alone or behind scalers in a pipeline), or a pair of a module
    and a `leaq.Recorder` (or `Checkpoints`) of its training. Of texts, ``inputs`` (n,) holds strings, or pairs of a
    prompt and its answer, and a causal language model with its tokenizer comes back.
    """

    trained_by: Callable[..., Any]
    seed: int

    reads: ClassVar[frozenset[Reads]] = frozenset({"rows", "arrays", "texts"})

    def network(self, samples: Samples) -> None:
        """Nothing: how long the user's training takes is not known before it is done."""

    def parts(self, samples: Samples, models: int) -> list[slice]:  # noqa: ARG002 - as every subject
        """Return one at a time: each is a unit of work that is kept when a run is interrupted."""
        return [slice(i, i + 1) for i in range(models)]

    def train(self, samples: Samples, members: Bools, *, which: slice, progress: Progress) -> Trained:
        """Call the recipe for the models `which`."""
        made, said, unread = [], Counter[str](), False
        for done, (number, inside) in enumerate(zip(range(which.start, which.stop), members, strict=True), start=1):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                made.append(self._one(records := _Watched.of(samples.take(inside)), number))
            unread = unread or not records.looked
            said.update({f"{one.category.__name__}: {one.message}" for one in caught})
            progress("training", done, len(members))
        module, _, tokenizer = made[0]
        weights = stacked_weights([checkpoints for _, checkpoints, _ in made])
        flags = (*self._warnings(made, said), *[UNREAD] * unread)
        if not samples.text:
            return Trained(as_stacked_model(module, samples), weights, flags)
        model = LanguageModel(module, tokenizer, tuple(samples.inputs))
        model.check()
        return Trained(model, weights, (*flags, *model.flags))

    def _one(self, records: Samples, number: int) -> Made:
        seed = int(stream(self.seed, "recipe", number).integers(2**31))
        # What a recipe prints is for people; results may be read by a program.
        with _seeded(seed), redirect_stdout(sys.stderr):
            try:
                found = self.trained_by(records, seed)
            except LeaqError:
                raise
            except Exception as err:
                raise InvalidInput(
                    f"The recipe failed on model {number} ({len(records)} records) with {raised(err, self.trained_by)}."
                ) from err
        _refuse_again(self.trained_by, found, number)
        return _of_texts(found) if records.text else (*_read(found), None)

    @staticmethod
    def _warnings(made: list[Made], said: Counter[str]) -> tuple[Flag, ...]:
        texts = [f"The recipe warned: {' '.join(text.split())[:200].rstrip('.')}." for text in said]
        flags = [Flag("recipe-warning", text) for text in texts]
        if {checkpoints.batch[1] for _, checkpoints, _ in made} == {1}:
            text = "The recipe returned the released weights alone: no candidates along training, so r is not computed."
            flags.append(Flag("no-checkpoints", text))
        return tuple(flags)


UNREAD = Flag(
    "records-unread",
    "The recipe looked at neither inputs nor ids of the records it was given. What it trained on then does not depend "
    "on who is a member, so that no attack can find any: train on records.inputs and records.targets.",
)


class _Watched(Samples):
    """Records that know whether anybody looked at which ones they are, copies and pickles included."""

    looked: bool

    @classmethod
    def of(cls, samples: Samples) -> "_Watched":
        """Return the same records, at which nobody looked."""
        watched = object.__new__(cls)
        object.__getattribute__(watched, "__dict__").update(vars(samples), looked=False)
        return watched

    def __getattribute__(self, name: str) -> Any:
        if name in ("inputs", "ids", "__dict__", "__getstate__"):
            object.__getattribute__(self, "__dict__")["looked"] = True
        return object.__getattribute__(self, name)


def _of_texts(found: Any) -> Made:
    """Return a language model, its weights, batch (1, 1), and its tokenizer."""
    module, tokenizer = found if isinstance(found, tuple) and len(found) == 2 else (found, None)
    if not isinstance(module, nn.Module) or not callable(tokenizer):
        raise InvalidInput(
            "A recipe of texts must return the trained causal language model and its tokenizer, a pair. Found "
            f"{type(found).__name__}."
        )
    module = copy.deepcopy(unwrap(module)).cpu().eval()
    return module, checkpoints_of(module).at((slice(None), None)), tokenizer


_LAST: list[tuple[Callable[..., Any], "weakref.ref[Any]", int]] = []
"""The model returned last in this process, by which recipe and as which number."""


def _refuse_again(recipe: Callable[..., Any], found: Any, number: int) -> None:
    """Refuse a recipe that returns one and the same object for several models: later ones knew earlier ones' members.

    Raises
    ------
    InvalidInput
        If it does.
    """
    model = found[0] if isinstance(found, tuple) and found else found
    before = _LAST.pop() if _LAST else None
    if before and before[0] == recipe and before[1]() is model and before[2] != number:
        raise InvalidInput(
            f"A recipe must build a new model each time it is called. It returned the very object of model {before[2]} "
            f"as model {number}, too, which then began with what it had learnt from that model's members. Build it "
            "inside the recipe, or return copy.deepcopy(model) where it is reset first."
        )
    if isinstance(model, nn.Module) or is_sklearn(model):
        _LAST.append((recipe, weakref.ref(model), number))


def _read(found: Any) -> tuple[nn.Module, Checkpoints]:
    """Return the module and its weights, batch (1, c)."""
    module, recorded = found if isinstance(found, tuple) and len(found) == 2 else (found, None)
    if is_sklearn(module):
        module = as_module(module)
    if not isinstance(module, nn.Module):
        raise InvalidInput(
            "A recipe must return the trained model: a torch module, a scikit-learn network, or a pair of a module and "
            f"its leaq.Recorder. Found {type(module).__name__}."
        )
    if not isinstance(recorded, Recorder | Checkpoints | None):
        raise InvalidInput(
            "A recipe may return a pair of the trained model and its leaq.Recorder. Found "
            f"{type(recorded).__name__} beside the model. Return the model alone."
        )
    module = copy.deepcopy(unwrap(module)).cpu().eval()
    if recorded is not None:
        recorded = recorded if isinstance(recorded, Checkpoints) else recorded.checkpoints
        whole, c = checkpoints_of(module), recorded.batch[-1]
        refuse_foreign(recorded, whole)
        rest = {name: t.unsqueeze(1).expand(1, c, *t.shape[1:]) for name, t in whole.params.items()}
        along = Checkpoints({**rest, **recorded.params}, whole.roles, (1, c), recorded.steps)
        return module, with_released(along, whole)
    return module, checkpoints_of(module).at((slice(None), None))


def stacked_weights(parts: list[Checkpoints]) -> Checkpoints:
    """Stack the weights of models of one architecture, (s, c).

    Raises
    ------
    InvalidInput
        If they are of several: other names, shapes, or numbers of recorded checkpoints.
    """
    first = parts[0]
    shapes = [{name: tuple(tensor.shape[1:]) for name, tensor in part.params.items()} for part in parts]
    for number, found in enumerate(shapes):
        if found != shapes[0]:
            names = some(differing(found, shapes[0]))
            raise InvalidInput(
                f"All models of an audit must have one architecture. Model {number} differs from the first in {names}. "
                "Let sizes depend on the data set, not on the members."
            )
    params = {name: torch.cat([part.params[name] for part in parts]) for name in first.params}
    return Checkpoints(params, first.roles, (sum(part.batch[0] for part in parts), *first.batch[1:]), first.steps)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed every global generator for one training, and put them back as they were."""
    with shared_generators_kept(), torch.random.fork_rng():  # the latter keeps those of GPUs
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - what recipes draw from
        yield


def _asked(config: AuditConfig, given: Given) -> OwnTraining:
    train = user_function(config.recipe, what="recipe") if given.recipe is None else given.recipe
    return OwnTraining(train, config.seed)


SUBJECT = Kind(_asked, place=20, options=("recipe",))
