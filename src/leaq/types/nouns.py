"""The nouns. Read this file first: everything else turns one of these into the next.

    Samples -> (train) -> Checkpoints -> (quantize) -> Checkpoints -> (evaluate) -> LossTable -> Estimate, AttackResult

Axis letters, the same everywhere: ``s`` models (replicates, targets or shadows), ``c`` candidates (quantized
checkpoints or neighbours) of one model, ``n`` records, ``d`` features, ``k`` classes or outputs, ``p`` parameters.

The LossTable is the waist of the hourglass. What trains or quantizes ends in one; what measures starts from one.
Its contract: losses are per record, natural logarithms or squared errors, float64, finite, never reduced; all of its
arrays are checked when it is built, and other real numbers become float64; every model says which records trained it;
the game the membership was drawn in is named. Fields are only ever added.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self, get_args

import numpy as np
import numpy.typing as npt

from leaq.errors import InvalidInput
from leaq.lazy import Tensor
from leaq.types.activations import Activations
from leaq.types.arrays import checked_samples, checked_table, joined, numbers, plain_array, some_of, trained_on
from leaq.types.tasks import MULTITASK, TaskSpec

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Task = Literal["classification", "regression", "multitask"]
"""What is predicted; multitask: several targets at once, see `leaq.types.tasks`."""
Game = Literal["iid", "pool", "calibration", "released", "series"]
"""How members were drawn: independently from P; as a random half of a fixed pool the attacker knows; or as a random
half of a fixed pool that no model trains on: the members then calibrate the quantizer; or as those of one released
model; or as whole series of records, about which the attacker asks."""
Role = Literal["linear", "conv1d", "conv2d", "embedding", "bias", "norm", "scaler", "other"]
"""What a parameter is. Only linear, conv and embedding weights are quantized by default."""
LAYER_ROLES: tuple[Role, ...] = ("linear", "conv1d", "conv2d", "embedding")
"""Roles of the weights of layers: what quantizers act on."""
_OF_MODELS = ("losses", "members", "scores", "outputs", "whitebox", "numbers", "told")
Progress = Callable[[str, int, int], None]
"""Called as ``progress(what, done, total)``; libraries call it, only the command line draws it."""


def silent(what: str, done: int, total: int) -> None:
    """Report progress to nobody; the default everywhere."""


@dataclass(frozen=True)
class Flag:
    """A doubt that travels with a number: a short stable `code` and a sentence for the reader."""

    code: str
    text: str


@dataclass(frozen=True)
class Feature:
    """One input column. `levels` names the categories of a categorical column (then the values are codes)."""

    name: str
    levels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Samples:
    """Labelled records that a model may be trained on, before or after embedding.

    Attributes
    ----------
    inputs : (n, d) float array, or (n,) strings (SMILES) that an embedder turns into one.
    targets : (n,) int64 class codes 0..k-1, or float64 values in their original unit; of several targets (n, t)
        float64 of both, NaN where a label is missing.
    task : what the targets are.
    name : the data set's name, for display; any string.
    classes : the k class names, in code order (empty for regression).
    unit : unit of a regression target, for display.
    ids : (n,) row numbers: which row of data of its source a record is, counted from 1; the header is none. Whatever
        names a record (message, table, file) names this number; never content, never a hash of content.
    groups : (n,) group of each record; records of one group stay on one side of every split.
    features : the d columns (empty for strings and for embedded records).
    flags : what was dropped, merged or doubted on the way here.
    public : records that anybody may see and no model trains on, None if there are none; embedded like the others.
    released_on : (n,) True for the records that trained the model that is released; None where models are trained here.
    text : whether the inputs are texts, or pairs of a prompt and its answer, that a language model learns; there is
        nothing else to predict, and the targets mean nothing.
    tasks : what each of several targets is (then `classes` and `unit` are empty); empty for a single one.
    """

    inputs: npt.NDArray[Any]
    targets: npt.NDArray[Any]
    task: Task
    name: str = "data"
    classes: tuple[str, ...] = ()
    unit: str = ""
    ids: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    groups: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    features: tuple[Feature, ...] = ()
    flags: tuple[Flag, ...] = ()
    public: "Samples | None" = None
    released_on: Bools | None = None
    tasks: tuple[TaskSpec, ...] = ()
    text: bool = False

    def __post_init__(self) -> None:
        for name, value in checked_samples(self).items():
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def kind(self) -> Literal["table", "smiles", "text"]:
        """Whether the inputs are numbers, SMILES strings or texts."""
        if self.text:
            return "text"
        return "table" if self.inputs.dtype.kind in "fiub" else "smiles"

    @property
    def each_target(self) -> tuple[tuple[npt.NDArray[Any], TaskSpec], ...]:
        """Every target by itself, (n,) with NaN where a label is missing, and what it is; or the only one.

        Examples
        --------
        >>> records = Samples(np.zeros((2, 1)), np.array([0, 1]), "classification", classes=("no", "yes"))
        >>> [(values.tolist(), task.classes) for values, task in records.each_target]
        [([0, 1], ('no', 'yes'))]
        """
        if self.task == MULTITASK:
            return tuple(zip(self.targets.T, self.tasks, strict=True))
        return ((self.targets, TaskSpec(self.name, self.task, self.classes, self.unit)),)

    def take(self, rows: npt.ArrayLike) -> Self:
        """Return the records at `rows` (positions or a mask), everything else unchanged."""
        index = np.asarray(rows)
        named = ("inputs", "targets", "ids", "groups", *(("released_on",) if self.released_on is not None else ()))
        return replace(self, **{name: getattr(self, name)[index] for name in named})

    def with_inputs(self, inputs: npt.NDArray[Any], *flags: Flag) -> Self:
        """Return the same records with embedded inputs and further flags."""
        return replace(self, inputs=inputs, features=(), flags=self.flags + flags)


@dataclass(frozen=True)
class Checkpoints:
    """Weights of many models of one architecture, stacked: ``params[name]`` is ``(*batch, *shape)``.

    Attributes
    ----------
    params : stacked tensors, in forward order of the layers.
    roles : the role of each parameter; decides what a quantizer touches.
    batch : the leading axes all parameters share, usually ``(s, c)`` or ``(s,)``.
    steps : training step of each checkpoint along the last batch axis; empty if there is no such axis.
    activations : if set, evaluation rounds each layer's input as this says; its ranges have the same batch axes.
    """

    params: Mapping[str, "Tensor"]
    roles: Mapping[str, Role]
    batch: tuple[int, ...]
    steps: tuple[int, ...] = ()
    activations: Activations | None = None

    def __post_init__(self) -> None:
        if set(self.params) != set(self.roles):
            odd = sorted(set(self.params) ^ set(self.roles))
            raise InvalidInput(f"Checkpoints: every parameter needs one role. Unmatched: {', '.join(odd)}.")
        for name, tensor in self.params.items():
            shape = tuple(tensor.shape)
            if shape[: len(self.batch)] != self.batch:
                raise InvalidInput(f"Checkpoints: {name!r} must start with the batch axes {self.batch}. Found {shape}.")
        for name, tensor in self.activations.ranges.items() if self.activations else ():
            if tuple(tensor.shape) != (*self.batch, 2):
                raise InvalidInput(
                    f"Checkpoints: the range of {name or 'outputs'!r} must be of shape {(*self.batch, 2)}. Found "
                    f"{tuple(tensor.shape)}."
                )

    def replace(self, params: Mapping[str, "Tensor"]) -> Self:
        """Return these checkpoints with some parameters exchanged."""
        return replace(self, params={**self.params, **params})

    def at(self, index: Any) -> Self:
        """Index the batch axes, e.g. ``at((slice(None), -1))`` for the last checkpoint of every model."""
        index = index if isinstance(index, tuple) else (index,)
        params = {name: tensor[index] for name, tensor in self.params.items()}
        probe = np.empty(self.batch, np.int8)[index].shape
        steps = self.steps
        if steps and len(index) == len(self.batch):
            picked = np.asarray(steps)[index[-1]]
            steps = tuple(int(step) for step in np.atleast_1d(picked)) if np.ndim(picked) else ()
        activations = None if self.activations is None else self.activations.at(index)
        return replace(self, params=params, batch=probe, steps=steps, activations=activations)

    def last(self) -> Self:
        """Return the final checkpoint of every model: batch ``(s, c)`` becomes ``(s,)``."""
        return self.at((slice(None),) * (len(self.batch) - 1) + (-1,))


@dataclass(frozen=True)
class LossTable:
    """Per-record losses of many candidate models, and what an attack needs beside them: the waist of the hourglass.

    Attributes
    ----------
    losses : (s, c, n) float64. Candidate ``c - 1`` is the released one.
    scores : (s, n) float64 raw attack signal of the released candidate; see `score_kind`.
    outputs : (s, n, k) float64 outputs of the released candidate: logits, or predictions in the original unit.
    told : what outputs told, in their place where they are not kept, by name (s, ...): see `leaq.measures.condensed`.
    members : (s, n) bool, True where the record trained the model.
    targets : (n,) class codes or original values.
    ids : (n,) row numbers, as in `Samples`.
    groups : (n,) group of each record (duplicates share one).
    task, game : what the losses are, and how members were drawn.
    n_train : number of training records of each model.
    quantizer : name of the quantizer the candidates went through ("none" for full precision).
    strategy : how candidates were sampled: "released" (c = 1), "trajectory", "neighbours", "ensemble", "enumeration".
    score_kind : "margin" (log-odds of the true class) or "residual" (signed, target minus prediction, in units
        of the pool's standard deviation).
    whitebox : (s, n, w) float64 statistics that need the released weights: how far each record's loss gradient points
        along that of all other records, the logarithm of its norm, then the former by groups of layers. None where
        they were not asked for.
    numbers : by kind, (s, m) float64 numbers of the released file that are no codes: `leaq.evaluation.with_numbers`.
    by_task : of several targets, by name the released candidates' table of each over the records that have its label.
        `losses` and `scores` are then joint: a record's mean loss, and the log-odds of the probability it stands for.
    flags : doubts to carry on.
    pool : how many records members are drawn from, where the table holds only some of them; 0 where it holds all.
    """

    losses: Floats
    members: Bools
    task: Task
    game: Game
    n_train: int
    scores: Floats | None = None
    outputs: Floats | None = None
    targets: npt.NDArray[Any] | None = None
    ids: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    groups: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    quantizer: str = "none"
    strategy: str = "released"
    score_kind: Literal["margin", "residual"] = "margin"
    whitebox: Floats | None = None
    flags: tuple[Flag, ...] = ()
    numbers: Mapping[str, Floats] | None = None
    by_task: Mapping[str, "LossTable"] = field(default_factory=dict)
    pool: int = 0
    told: Mapping[str, Floats] | None = None

    def __post_init__(self) -> None:
        for name, value in checked_table(self, tasks=get_args(Task), games=get_args(Game)).items():
            object.__setattr__(self, name, value)

    @property
    def released(self) -> Floats:
        """Losses of the released candidate, (s, n)."""
        return np.asarray(self.losses[:, -1, :])

    def held_out(self, model: int) -> Floats:
        """Losses of one model's candidates on the records that did not train it, (c, n_out)."""
        return np.asarray(self.losses[model][:, ~self.members[model]])

    def released_only(self) -> Self:
        """Return the table of the released candidates alone, (s, 1, n)."""
        return replace(self, losses=self.losses[:, -1:])

    def of(self, models: Sequence[int]) -> Self:
        """Return the table of some of the models."""
        index = np.asarray(models, dtype=np.int64)
        taken: dict[str, Any] = {name: some_of(getattr(self, name), index) for name in _OF_MODELS}
        by_task = {name: part.of(models) for name, part in self.by_task.items()}
        return replace(self, **taken, n_train=self._trained_on(taken["members"]), by_task=by_task)

    def on(self, records: Ints) -> Self:
        """Return the losses, scores, outputs and labels of some of the records; of a single target."""
        per_record = {name: getattr(self, name) for name in ("targets", "ids", "groups")}
        per_model = {name: getattr(self, name) for name in ("members", "scores", "outputs")}
        taken: dict[str, Any] = {name: None if one is None else one[records] for name, one in per_record.items()}
        taken |= {name: None if one is None else one[:, records] for name, one in per_model.items()}
        taken |= dict.fromkeys(("whitebox", "numbers", "told"))  # at once: they are of other records
        return replace(self, losses=self.losses[:, :, records], **taken)

    def _trained_on(self, members: Bools) -> int:
        return self.n_train if self.pool else trained_on(members)

    def rows_of(self, task: str) -> Ints:
        """Return which records have a label of one of several targets, by position."""
        return np.flatnonzero(np.isin(self.ids, self.by_task[task].ids))

    @classmethod
    def stack(cls, parts: Sequence[Self]) -> Self:
        """Join tables of different models over the same records along the model axis.

        Of candidates along trainings of different length (early stopping) the last of each, as many as the fewest.
        """
        fewest, most = (pick(part.losses.shape[1] for part in parts) for pick in (min, max))
        if fewest < most:
            text = f"Models have {fewest} to {most} checkpoints: the last {fewest} of each are compared."
            shorter = Flag("checkpoints-differ", text)
            parts = [replace(one, losses=one.losses[:, -fewest:], flags=(*one.flags, shorter)) for one in parts]
        whole: dict[str, Any] = {name: joined([getattr(part, name) for part in parts]) for name in _OF_MODELS}
        whole["by_task"] = {name: LossTable.stack([part.by_task[name] for part in parts]) for name in parts[0].by_task}
        return replace(parts[0], **whole, n_train=parts[0]._trained_on(whole["members"]))

    @classmethod
    def from_losses(
        cls,
        members: npt.ArrayLike,
        nonmembers: npt.ArrayLike,
        *,
        task: Task = "classification",
        groups: npt.ArrayLike | None = None,
    ) -> Self:
        """Build the table of one finished model from two lists of losses.

        Parameters
        ----------
        groups : one whole number a record, members first: copies of a record, or a person's records, share one.

        Raises
        ------
        InvalidInput
            If losses are no finite numbers, or `groups` are not as many.

        Examples
        --------
        >>> table = LossTable.from_losses([0.1, 0.2], [0.3, 0.9, 0.4])
        >>> table.losses.shape, table.n_train
        ((1, 1, 5), 2)
        """
        inside, outside = (
            numbers(np.ravel(plain_array(values)), name=f"LossTable.from_losses: {name}", shape=(None,))
            for name, values in (("members", members), ("nonmembers", nonmembers))
        )
        mask = np.r_[np.ones(len(inside), bool), np.zeros(len(outside), bool)]
        return cls(
            losses=np.r_[inside, outside][None, None],
            members=mask[None],
            task=task,
            game="iid",
            n_train=max(1, len(inside)),
            groups=np.empty(0, np.int64) if groups is None else np.asarray(groups),
        )
