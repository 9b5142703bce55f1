"""What one cell of a study is: one data set, one embedder, one head, several quantizers, one seed."""

import os
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypedDict

from pydantic import ConfigDict, Field, PositiveInt, ValidationInfo, field_validator, model_validator

from leaq.config import Config, split_specs
from leaq.data import Reading
from leaq.system.files import is_model
from leaq.system.usercode import is_code
from leaq.training import TrainingConfig
from leaq.training.config import STANDARDISE

if TYPE_CHECKING:
    from leaq.quantizers import Scheme

PLACES = ("source", "model", "recipe", "released", "members", "nonmembers", "recorded", "public", "loss", "reference")
"""Options that name a file, or a function in one."""
IN_MEMORY = " in memory"
"""Ends the name of what a configuration can only name: a data frame, a function, a module."""

SPECIFIED = ("quantizers", "attacks", "together", "references")
"""Options that hold specifications."""
EFFORTS = {"forecast": 8, "standard": 16, "deep": 64}
"""Replicates of each effort; see `AuditConfig.effort`."""


class Origin(Config):
    """Where the models come from: leaq's own perceptron, a network or a training of the user's, a finished model.

    What goes together is checked by `leaq.pipeline.subjects.subject_of`.

    Examples
    --------
    >>> Origin(model="nets.py:make").recipe
    ''
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(title="Whose model it is")

    model: str = ""
    """A graph network of molecules: chemprop (trained by its own recipe), dmpnn (the same network), gin or gcn, e.g.
    dmpnn(hidden=64); or a pretrained one that is fine-tuned whole, e.g. gcn_contextpred. Or your own network:
    file.py:function that returns a torch module and may take features, outputs, task and shape. Copies of it are
    trained together by leaq, end to end. A function runs your code; name only code you trust."""
    recipe: str = ""
    """Your own training: file.py:function of (records, seed) that returns the trained model, a torch module or a
    scikit-learn network; records has inputs and targets. Runs your code; name only code you trust."""
    released: str = ""
    """The file that is released, of a model that was trained by the recipe (or is the network named) on the records of
    members: it is attacked, with shadow models from the recipe. Weights (safetensors, GGUF, a folder), or a program
    whose graph shows them (ONNX, OpenVINO, LiteRT, .pt2). What chemprop saved says its network and targets itself."""
    members: str = ""
    """Records that trained the released file, a table with the source's columns; the source's other records did not.
    Of a finished model: NPZ with arrays x and y, or a table (with target); of a language model texts, one a line, or
    .jsonl with text, or with prompt and completion (the answers alone are scored)."""


class FinishedModel(Config):
    """How a finished model is audited: the source is its file, and nothing is trained.

    Examples
    --------
    >>> FinishedModel(nonmembers="b.npz").loss
    'auto'
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(title="A finished model")

    nonmembers: str = ""
    """Records of the members' origin that did not train the model, in the same form."""
    columns: tuple[str, ...] = ()
    """Columns of members and non-members that the model takes, in its order; by default all but the target."""
    loss: str = "auto"
    """auto, cross_entropy, binary, squared_error, gaussian, gaussian_log, or file.py:function of (outputs, targets)
    that returns one value a record (your code is run)."""
    shipped: tuple[str, ...] = ()
    """name=file: the same network quantized elsewhere (GGUF, GPTQ, AWQ, compressed-tensors, bitsandbytes, torchao,
    ONNX, LiteRT, OpenVINO, ...)."""
    recorded: str = ""
    """Folder in which a leaq.Recorder kept checkpoints of the model's training: candidates for r, and which members
    this one run exposes most (--show-records). It is only read."""
    reference: str = ""
    """Folder of a language model that has not seen the members; calibrates the attack."""
    length: PositiveInt | None = None
    """Tokens of a text that are read, for language models; by default as many as the model takes. What is cut is
    counted."""
    n_train: PositiveInt | None = None
    """Records the model was trained on, where members holds only some of them."""
    overlap: Literal["refuse", "keep"] = "refuse"
    """What to do with non-members that have the inputs of a member: refuse them, or keep and flag them."""
    neighbours: PositiveInt = Field(default=64, le=4096)
    """Candidates sampled around the quantized weights for r."""


class BesideLosses(TypedDict):
    """What is computed of released models beside losses.

    Attributes
    ----------
    whitebox : statistics of the weights. numbers : what the file holds beside codes. codes : those of the first layer,
        record by record.
    """

    whitebox: bool
    numbers: bool
    codes: bool


class AuditConfig(Reading, Origin, FinishedModel):
    """Everything an audit depends on; the same configuration gives the same numbers.

    How the records are read is inherited from `Reading`. Folders are no part of it: results carry a digest of the data.

    Examples
    --------
    >>> AuditConfig(source="breast_cancer", quantizers=("sign", "uniform(bits=4)")).replicates
    16
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(title="What is done to it")

    source: str
    """A data set known by name (breast_cancer, freesolv, bbb_martins, ...: see leaq list datasets), or a CSV, TSV,
    Parquet, NPZ or SD file; or a finished model: a file of weights (safetensors or GGUF, with model), a program that
    runs by itself (ONNX, TorchScript, .pt2, LiteRT, OpenVINO), a language model (a folder or GGUF), or what chemprop 2
    saved (.pt, .ckpt or the folder of a training)."""
    embedder: str = "auto"
    """How records become numbers: auto, identity, ecfp4, descriptors, ...: see leaq list embedders."""
    quantizers: tuple[str, ...] = ("study", "uniform(bits=8)")
    """Ways to quantize, e.g. sign,uniform(bits=4) (see leaq list quantizers), or the families study, shipped, all. Full
    precision is always measured too; none asks for nothing else."""
    effort: Literal["forecast", "standard", "deep"] = "standard"
    """How many replicates are trained, unless replicates is not 16: forecast 8, standard 16, deep 64. In 23 settings
    not used in development the advantage that 64 find was missed by 0.016 by the forecast from 8, by 0.012 by the
    attack on 16, by 0.008 by the attack on 64 others (docs/fidelity.md). On breast_cancer with ten quantizers they took
    6 (with --attacks threshold, the forecast alone), 13 and 52 seconds of one core."""
    replicates: PositiveInt = Field(default=16, ge=2, le=4096)
    """Models trained, each on its own half of the records; each is attacked with all others as its shadow models."""
    shadows: int = Field(default=0, ge=0, le=4096)
    """Further models trained that are not attacked: more shadow models for every attacked one."""
    attacks: tuple[str, ...] = ("default",)
    """Attacks, e.g. threshold,lira(mode=offline), or the families default (they cost little) and all."""
    judged: PositiveInt = 50_000
    """Records that attackers ask about and numbers rest on, at most, drawn from the pool at random; every model trains
    on its half of the whole pool. Time and memory of measuring grow in proportion to them."""
    together: tuple[str, ...] = ()
    """Releases of one model that are attacked together, a plus between them, e.g. 'sign + uniform(bits=2)'; of a random
    rounding several, e.g. 'stochastic(bits=2) x8', or a set of each size with 'stochastic(bits=2) x2/4/8'."""
    references: tuple[str, ...] = ()
    """Classical models on the same records, attacked alike, to compare with: forest, boosting, knn."""
    dp_sgd: tuple[str, ...] = ()
    """Privacy losses, e.g. 1,3,8,inf, at which the perceptrons are also trained with differential privacy (DP-SGD,
    extra dp): what quantization buys next to a guarantee. Takes much longer than the audit itself."""
    game: Literal["pool", "calibration", "series"] = "pool"
    """What is asked about a record: pool, did it train the model; calibration, did it calibrate the quantizer (of a
    model that it did not train; replicates and shadows then count calibrations). series asks about whole groups of
    records (group, or split by scaffold or cluster): was this series in the training data?"""
    training: TrainingConfig = TrainingConfig()
    public: str = ""
    """Public records of the same kind as the source's, a catalogued name or a file: `standardise` public takes its
    statistics from them, quantizers that are calibrated elsewhere look at them. Those in the source are left out."""
    seed: int = Field(default=0, ge=0)
    """Root of every random draw; the same seed gives the same numbers here, and within their intervals elsewhere."""
    level: float = Field(default=0.95, gt=0.5, lt=1)
    """Confidence level of all intervals."""
    draws: PositiveInt = 200
    """Bootstrap draws of all intervals."""
    threads: PositiveInt | None = None
    """Threads of one audit; by default torch decides how many train and evaluate, and one measures. Part of the
    numbers' rounding: set it where runs must agree."""

    @field_validator(*PLACES, mode="before")
    @classmethod
    def _path_is_text(cls, value: Any) -> Any:
        return os.fspath(value) if hasattr(value, "__fspath__") else value

    @field_validator("ignore", "columns", "shipped", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator(*SPECIFIED, "dp_sgd", mode="before")
    @classmethod
    def _specified(cls, value: Any, info: ValidationInfo) -> Any:
        return tuple(_texts(value, numbers=info.field_name == "dp_sgd"))

    @model_validator(mode="before")
    @classmethod
    def _as_many_models(cls, given: Any) -> Any:
        effort = given.get("effort") if isinstance(given, dict) else None
        usual = EFFORTS["standard"]
        if effort not in EFFORTS or given.get("replicates", usual) != usual:
            return given  # another word is refused by the field
        return {**given, "replicates": EFFORTS[effort]}

    @field_validator(*SPECIFIED)
    @classmethod
    def _spelled_out(cls, specs: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if not specs and info.field_name in ("together", "references"):
            return ()
        from leaq.attacks.registry import parse_attacks
        from leaq.quantizers import parse_list, parse_together  # late, see `leaq.pipeline.options`
        from leaq.training.references import parse_references

        readers: dict[str, Any] = dict(
            zip(SPECIFIED, (parse_list, parse_attacks, parse_together, parse_references), strict=True)
        )
        name = str(info.field_name)
        if name == "attacks" and not specs:
            raise ValueError("attacks must name at least one attack")
        if name == "quantizers":  # an empty list, none on the command line, asks for full precision alone
            specs = specs or ("none",)
        return tuple(one.spec() for one in readers[name](specs))

    @field_validator("embedder")
    @classmethod
    def _known_embedder(cls, spec: str) -> str:
        from leaq.embedders import EMBEDDERS

        if spec != "auto":
            EMBEDDERS.build(spec)
        return spec

    @field_validator("training")
    @classmethod
    def _recorded_standardisation(cls, training: TrainingConfig, info: ValidationInfo) -> TrainingConfig:
        own: dict[str, Any] = {}
        if model := info.data.get("model", ""):
            from leaq.models.nets.registry import training_of

            own |= training_of(model)
        if training.standardise != "auto":
            own.pop("standardise", None)
        elif "standardise" not in own:
            own["standardise"] = STANDARDISE
        default = TrainingConfig()
        # A command names every option, so one at its default is taken for one that was not given.
        own = {name: value for name, value in own.items() if getattr(training, name) == getattr(default, name)}
        return training.but(**own) if own else training

    @field_validator("dp_sgd")
    @classmethod
    def _privacy_losses(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        try:
            found = [float(text) for text in texts]
        except ValueError:
            found = [0.0]
        if not all(value > 0 for value in found):
            raise ValueError(f"dp_sgd must be positive numbers or inf, such as 1,3,8,inf. Found {','.join(texts)!r}.")
        return tuple(dict.fromkeys(f"{value:g}" for value in found))

    @model_validator(mode="after")
    def _known_network(self) -> Self:
        from leaq.models.nets import NETS

        if self.model and not self.finished and not (is_code(self.model) or self.model.endswith(IN_MEMORY)):
            NETS.build(self.model)
        return self

    @property
    def schemes(self) -> "tuple[Scheme, ...]":
        """The quantizers named, each once."""
        from leaq.quantizers import parse_list

        return parse_list(self.quantizers)

    @property
    def finished(self) -> bool:
        """Whether the source is a finished model."""
        return is_model(self.source)

    @property
    def models(self) -> int:
        """Number of models, the released file among them."""
        return self.trained + bool(self.released)

    @property
    def trained(self) -> int:
        """Number of models trained."""
        return self.replicates + self.shadows

    @property
    def attacked(self) -> range:
        """Which models are attacked: the released file, or all replicates."""
        return range(1) if self.released else range(self.replicates)

    @property
    def beside_losses(self) -> BesideLosses:
        """What attacks ask of released models beside losses, and what not."""
        from leaq.attacks.registry import parse_attacks

        attacks = parse_attacks(self.attacks)
        used = {name for attack in attacks for name in attack.uses}
        codes = any(getattr(attack, "codes", False) for attack in attacks)
        return {"whitebox": "whitebox" in used, "numbers": "numbers" in used, "codes": codes}

    @property
    def named(self) -> list[str]:
        """Options that are not as they are where nothing is asked for; those of the training by their own names."""
        mine, usual = self.to_dict(), usual_options()
        pairs = ((mine, usual), (mine["training"], usual["training"]))
        named = (name for asked, plain in pairs for name, value in asked.items() if value != plain[name])
        return [name for name in named if name not in ("source", "training")]

    @property
    def resampling(self) -> dict[str, Any]:
        """How intervals are made, as every measure takes it."""
        return {"level": self.level, "draws": self.draws, "seed": self.seed}


def unread_training(options: Mapping[str, Any]) -> frozenset[str]:
    """Return the options of the training that say nothing to what gives an audit's models: a recipe trains by itself.

    Examples
    --------
    >>> sorted(unread_training({"source": "wine", "model": "nets.py:make"})), sorted(unread_training({}))
    (['hidden'], [])
    >>> "epochs" in unread_training({"recipe": "train.py:train"})
    True
    """
    if options.get("recipe"):
        return frozenset(TrainingConfig.model_fields) - {"device"}
    return frozenset({"hidden"} if options.get("model") else ())


def own_models(options: Mapping[str, Any]) -> str:
    """Return whose models an audit is of, in a word: the user's function or network, and the file; "" for leaq's own.

    Examples
    --------
    >>> own_models({"recipe": "train.py:train", "released": "out/w.safetensors"}), own_models({"model": ""})
    ('train w', '')
    """
    function = str(options.get("recipe") or options.get("model") or "").rpartition(":")[2]
    return " ".join(filter(None, [function, Path(str(options.get("released") or "")).stem]))


@cache
def usual_options() -> dict[str, Any]:
    """Return the options of an audit of which nothing is asked."""
    return AuditConfig(source="data").to_dict()


def _texts(value: Any, *, numbers: bool) -> Iterator[str]:
    """Yield specifications, or numbers as texts, from a text, an object that has one, a number, or a list of these."""
    for item in value if isinstance(value, list | tuple | set | frozenset) else (value,):
        if isinstance(item, str):
            yield from split_specs(item)
        elif callable(getattr(item, "spec", None)):
            yield item.spec()
        elif numbers and isinstance(item, int | float) and not isinstance(item, bool):
            yield f"{item:g}"
        else:
            raise ValueError(f"each must be a specification or an object with one, and one is a {type(item).__name__}")
