"""The very file that is released, beside shadow models trained as it was."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from leaq.data.molecules import smiles_column
from leaq.errors import InvalidInput
from leaq.evaluation.texts import LanguageModel
from leaq.models import checkpoints_of
from leaq.models.boxes import program_bytes
from leaq.models.formats import fitting
from leaq.models.formats.placing import refuse_other_shapes
from leaq.models.nets import Chemprop
from leaq.models.nets.chemprop import chemprop_files, fill_chemprop, read_chemprop, said_by
from leaq.models.programs import open_program
from leaq.models.roles import shared_names
from leaq.pipeline.cell import AuditConfig
from leaq.pipeline.subjects.architecture import network_named
from leaq.pipeline.subjects.base import Kind, Reads, Subject, Trained
from leaq.pipeline.subjects.choice import subject_of
from leaq.pipeline.subjects.given import Given
from leaq.pipeline.subjects.heads import Heads
from leaq.pipeline.subjects.opening import OpenedRelease, Program, open_released
from leaq.pipeline.subjects.recipe import stacked_weights
from leaq.quantizers import Calibration, build
from leaq.quantizers.files.opening import open_file
from leaq.quantizers.files.recognised import Recipe, recipe_of
from leaq.quantizers.observing import Ranges, nearest
from leaq.system.files import no_file
from leaq.training import MLP, StackedModule
from leaq.types import Activations, Bools, Checkpoints, Flag, Progress, Samples


@dataclass(frozen=True)
class Read:
    """What a released file holds.

    Attributes
    ----------
    weights : batch (1, 1).
    spec : the quantizer that gives them; None where none is known, or nothing was quantized.
    doubts : about what was read.
    activations : how the file rounds activations; see `Trained`.
    """

    weights: Checkpoints
    spec: str | None = None
    doubts: tuple[Flag, ...] = ()
    activations: Activations | None = None


_HELD: dict[object, Read] = {}
"""The file read last in this process: every part of an audit asks for it, each by a subject of its own."""


@dataclass(frozen=True)
class Artefact:
    """A released file as model 0, and models of another subject as the rest; only released weights are looked at.

    Attributes
    ----------
    released : a file of weights (safetensors, GGUF, a folder), or a module.
    shadows : the subject that trained it, as far as it can be done again.
    """

    released: Any
    shadows: Subject

    @property
    def reads(self) -> frozenset[Reads]:
        """What the shadow models read."""
        return self.shadows.reads

    def network(self, samples: Samples) -> MLP | StackedModule | None:
        """Return the network of the shadow models."""
        return self.shadows.network(samples)

    def parts(self, samples: Samples, models: int) -> list[slice]:
        """Return the parts of the shadow models; the file stands with the first, whose architecture it is read into."""
        inner = self.shadows.parts(samples, models - 1)
        return [slice(part.start + 1 if part.start else 0, part.stop + 1) for part in inner]

    def train(self, samples: Samples, members: Bools, *, which: slice, progress: Progress) -> Trained:
        """Read the file where model 0 is asked for, and train the shadow models that are."""
        first = which.start == 0
        program = self._refuse_others(samples) if first else None
        inside = members[1:] if first else members
        inner = slice(0 if first else which.start - 1, which.stop - 1)
        made = self.shadows.train(samples, inside, which=inner, progress=progress)
        if not isinstance(made.model, StackedModule | LanguageModel):
            raise InvalidInput("A released file needs the network it belongs to. Name it with model or recipe.")
        seen = isinstance(made.model, StackedModule) and not shared_names(made.model.module)
        key = (_stamps(self.released), seen, samples.public is not None)
        if first or key not in _HELD:  # read with the first models; later ones are told what was found
            found = self._read(made.model, samples, program, seen=seen)
            _HELD.clear()
            _HELD[key] = found
        read = _HELD[key]
        shadows = made.checkpoints.last().at((slice(None), None))
        held = stacked_weights([read.weights, shadows]) if first else shadows
        flags = tuple(flag for flag in made.flags if flag.code != "no-checkpoints")
        by = () if read.spec is None else (read.spec,)
        return Trained(made.model, held, (*flags, *read.doubts), by, int(first), read.activations)

    def _refuse_others(self, samples: Samples) -> Program | None:
        """Refuse a file of another network than the one named, before anything is trained; return an opened program."""
        if samples.text and isinstance(self.released, str | Path) and program_bytes(Path(self.released)):
            raise InvalidInput(
                f"{Path(self.released).name}: a released language model must be weights (a folder, GGUF), which its "
                "library runs. Found a program. Give the weights."
            )
        network = self.shadows.network(samples)
        if not isinstance(self.released, str | Path) or not isinstance(network, StackedModule):
            return None
        if files := chemprop_files(self.released):
            fill_chemprop(files, network.module)
            return None
        path = Path(self.released)
        if (program := open_program(path)) is not None:
            refuse_other_shapes(program[1].weights(), network.module, subject=path.name)
            return program
        fitting(open_file(path, network.module), network.module, subject=path.name)
        return None

    def _read(
        self, model: StackedModule | LanguageModel, samples: Samples, program: Program | None, *, seen: bool
    ) -> Read:
        """Return the released weights, batch (1, 1), what quantized and rounds them, and doubts.

        Parameters
        ----------
        samples : on which a program is compared with the network that gets its weights.
        program : the file, where it was opened already.
        seen : whether what every layer is multiplied with can be seen, as calibrating on it asks.
        """
        opened = open_released(self.released, model.module, samples, program)
        weights, public = checkpoints_of(opened.module).at((slice(None), None)), samples.public is not None
        if not opened.stored:
            return Read(weights)
        recipe, near = recipe_of(opened.module, None, opened.stored), None
        how = opened.activations
        if recipe is not None and how is not None:
            recipe = recipe.with_activations(how if seen else replace(how, ranges={}))
            if how.static and seen:
                recipe, near = _observed(recipe, weights.last(), model, samples)
        if recipe is not None and build(recipe.spec).needs.calibration:
            whose = "elsewhere" if public else "members"
            spec = build(recipe.spec).model_copy(update={"calibrated": whose}).spec()
            recipe = replace(recipe, spec=spec) if seen else None
        words = "; ".join(dict.fromkeys(opened.stored.values()))
        text = (
            f"The released file holds weights as {words}; {_said_shadows(recipe, public=public)}. 'Full precision' "
            f"means what the file holds.{said_rounding(opened, near, public=public) if recipe else ''}"
        )
        return Read(weights, recipe.spec if recipe else None, (Flag("already-quantized", text),), how)


def _observed(
    recipe: Recipe, weights: Checkpoints, model: StackedModule | LanguageModel, samples: Samples
) -> tuple[Recipe, tuple[Ranges, float]]:
    """Return the recipe with the way of observing ranges that comes nearest to the file's, and how near."""
    assert recipe.activations is not None
    if samples.public is not None or samples.released_on is None:
        shown = Calibration(model, (samples.public or samples).inputs)
    else:
        shown = Calibration(model, samples.inputs, samples.released_on[None])
    scheme = build(recipe.spec)
    way, off = nearest(scheme, weights, shown, recipe.activations)
    return replace(recipe, spec=scheme.model_copy(update={"ranges": way}).spec(), ranges=way), (way, off)


OBSERVED = {
    "minmax": "extremes of all",
    "mean": "mean of each one's extremes",
    "moving": "moving average of each one's extremes",
}


def said_rounding(opened: OpenedRelease, near: tuple[Ranges, float] | None, *, public: bool) -> str:
    """Say how activations are rounded in the row of a released file, and how near that is to the program."""
    if (how := opened.activations) is None:
        if opened.off[0] <= opened.off[1]:
            return ""
        return (
            " It rounds activations in a way that was not understood, so that its row rounds none: the network's "
            f"outputs are {opened.off[1]:.2%} of how much they vary off the program's."
        )
    said = f" It rounds activations to {how.bits} bits "
    if not how.static:
        said += "by the range of what it is given; so does its row, record by record."
    elif near is None:
        said += (
            "by static ranges; in its row they are rounded by the range of each record, since what layers of tied "
            "weights are given cannot be observed."
        )
    else:
        whose = "the public records" if public else "its own members"
        said += (
            f"by static ranges. In its row it has these; each shadow model has those observed on {whose} "
            f"({OBSERVED[near[0]]}; the file's own would be {near[1]:.0%} off so)."
        )
    return said + (
        f" Rounded as in this row, the network's outputs are {opened.off[0]:.2%} of how much they vary off the "
        f"program's, {opened.off[1]:.2%} without."
    ) * (near is not None or not how.static)


def _said_shadows(recipe: Recipe | None, *, public: bool) -> str:
    """Say how shadow models are quantized in the row of a released file."""
    if recipe is None:
        return "no quantizer known here gives its codes, so that no row has shadow models quantized like it; name one"
    if not recipe.calibrated:
        return (
            f"its codes are those of {recipe.spec}{recipe.doubt}, which quantizes the shadow models in its row (the "
            "file itself is taken as it is)"
        )
    whose = "the public records" if public else "their own members"
    return (
        "its codes were chosen on calibration records that it does not hold, so that nothing gives them again; in its "
        f"row (the file itself is taken as it is) shadow models go through {recipe.spec}, calibrated on {whose}: the "
        "attack is as adaptive as these records are the file's"
    )


def completed(config: AuditConfig, given: Given, columns: Callable[[], Sequence[str]]) -> AuditConfig:
    """Return a configuration with what a released file of chemprop says itself: its network, targets, column of SMILES.

    What is named stays as it is; so does the configuration of any other file.

    Parameters
    ----------
    columns : reads the names of the source's columns.
    """
    unsaid = not (config.recipe or config.model or given.recipe or given.model)
    files = chemprop_files(config.released) if given.released is None else []
    if not files or not unsaid:
        return config
    network = read_chemprop(*files)
    said: dict[str, Any] = {"model": said_by(network)}
    if config.target is None and network.targets:
        said["target"] = ",".join(network.targets)
    if config.smiles is None and (known := columns()):
        said["smiles"] = smiles_column(known)
    return config.but(**said)


def _stamps(released: Any) -> object:
    """Return what is another when a file, or one in a folder, was written anew; of a module which one it is."""
    if not isinstance(released, str | Path):
        return id(released)
    path = Path(released)
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return tuple((str(one), one.stat().st_mtime_ns, one.stat().st_size) for one in files)


def _asked(config: AuditConfig, given: Given) -> Artefact | None:
    if bool(config.released) != bool(config.members):
        raise InvalidInput(
            "A released file (released) needs the records that trained it (members), and they need it. Found one of "
            "the two. Name both."
        )
    released = given.released if given.released is not None else config.released or None
    if released is None:
        return None
    # A file that was trained elsewhere holds no scalers of ours, so its shadow models have none; chemprop's has some.
    scaled = isinstance(network_named(config.model), Chemprop)
    training = config.training if scaled else config.training.model_copy(update={"standardise": "none"})
    bare = config.model_copy(update={"released": "", "members": "", "training": training})
    shadows = subject_of(bare, replace(given, released=None))
    if isinstance(shadows, Heads):
        raise InvalidInput(
            "A released file is attacked with shadow models trained as it was, so its training must be named. Found "
            "none. Name it with recipe (file.py:function of records and seed) or, for a network that leaq can train, "
            "with model."
        )
    if given.released is None and not (path := Path(config.released)).exists():
        raise no_file(path, "released file", "Name an existing file of weights.")
    return Artefact(released, shadows)


SUBJECT = Kind(_asked, place=10, options=("released", "members"))
