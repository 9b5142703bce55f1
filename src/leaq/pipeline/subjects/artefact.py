"""The very file that is released, beside shadow models trained as it was."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from leaq.data.molecules import smiles_column
from leaq.errors import InvalidInput
from leaq.evaluation.texts import LanguageModel
from leaq.models import checkpoints_of, unwrap
from leaq.models.boxes import program_bytes
from leaq.models.calling import output_tensor
from leaq.models.formats import filled_from, fitting, read_file
from leaq.models.formats.placing import place_by_run, refuse_other_shapes
from leaq.models.nets import Chemprop
from leaq.models.nets.chemprop import chemprop_files, fill_chemprop, read_chemprop, said_by
from leaq.models.programs import open_program
from leaq.models.roles import shared_names
from leaq.models.sklearn import as_module, is_sklearn
from leaq.models.weights import check_match
from leaq.pipeline.cell import AuditConfig
from leaq.pipeline.subjects.architecture import network_named
from leaq.pipeline.subjects.base import Kind, Reads, Subject, Trained
from leaq.pipeline.subjects.choice import subject_of
from leaq.pipeline.subjects.given import Given
from leaq.pipeline.subjects.heads import Heads
from leaq.pipeline.subjects.recipe import stacked_weights
from leaq.quantizers import build
from leaq.quantizers.files.recognised import Recipe, recipe_of
from leaq.system.files import no_file
from leaq.training import MLP, StackedModule
from leaq.types import Bools, Checkpoints, Flag, Progress, Samples

COMPARED = 64
"""Records on which a program is compared with the network that gets its weights."""
Read = tuple[Checkpoints, str | None, tuple[Flag, ...]]
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
        if first:
            self._refuse_others(samples)
        inside = members[1:] if first else members
        inner = slice(0 if first else which.start - 1, which.stop - 1)
        made = self.shadows.train(samples, inside, which=inner, progress=progress)
        if not isinstance(made.model, StackedModule | LanguageModel):
            raise InvalidInput("A released file needs the network it belongs to. Name it with model or recipe.")
        seen = isinstance(made.model, StackedModule) and not shared_names(made.model.module)
        weights, spec, doubts = self._read(made.model.module, samples, first=first, seen=seen)
        shadows = made.checkpoints.last().at((slice(None), None))
        held = stacked_weights([weights, shadows]) if first else shadows
        flags = tuple(flag for flag in made.flags if flag.code != "no-checkpoints")
        return Trained(made.model, held, (*flags, *doubts), () if spec is None else (spec,), held=int(first))

    def _refuse_others(self, samples: Samples) -> None:
        """Refuse a file that is of another network than the one named, before anything is trained."""
        if samples.text and isinstance(self.released, str | Path) and program_bytes(Path(self.released)):
            raise InvalidInput(
                f"{Path(self.released).name}: a released language model must be weights (a folder, GGUF), which its "
                "library runs. Found a program. Give the weights."
            )
        network = self.shadows.network(samples)
        if not isinstance(self.released, str | Path) or not isinstance(network, StackedModule):
            return
        if files := chemprop_files(self.released):
            fill_chemprop(files, network.module)
            return
        path = Path(self.released)
        if (opened := open_program(path)) is not None:
            refuse_other_shapes(opened[1].weights(), network.module, subject=path.name)
            return
        fitting(read_file(path, network.module), network.module, subject=path.name)

    def _read(self, template: nn.Module, samples: Samples, *, first: bool, seen: bool) -> Read:
        """Return the released weights, batch (1, 1), which quantizer made them, and doubts.

        A file is read with the first models, into whose architecture it must fit; later ones are told what was found.

        Parameters
        ----------
        samples : on which a program is compared with the network that gets its weights.
        seen : whether what every layer is multiplied with can be seen, as calibrating on it asks.
        """
        public = samples.public is not None
        key = (_stamps(self.released), seen, public)
        if first or key not in _HELD:
            found = self._read_anew(template, samples, seen=seen, public=public)
            _HELD.clear()
            _HELD[key] = found
        return _HELD[key]

    def _read_anew(self, template: nn.Module, samples: Samples, *, seen: bool, public: bool) -> Read:
        module, stored, activations = _opened(self.released, template, samples)
        weights = checkpoints_of(module).at((slice(None), None))
        if not stored:
            return weights, None, ()
        recipe = recipe_of(module, None, stored)
        recipe = recipe and recipe.with_activations(activations)
        if recipe is not None and recipe.calibrated:
            whose = {"calibrated": "elsewhere"} if public else {}
            recipe = replace(recipe, spec=build(recipe.spec).model_copy(update=whose).spec()) if seen else None
        words = "; ".join(dict.fromkeys(stored.values()))
        text = (
            f"The released file holds weights as {words}; {_said_shadows(recipe, public=public)}. 'Full precision' "
            "means what the file holds."
        )
        if activations is not None:
            text += (
                f" It rounds activations to {activations} bits, by ranges of its own; here those of its row and of the "
                "shadow models' are rounded by the range of each record around 0."
            )
        return weights, recipe.spec if recipe else None, (Flag("already-quantized", text),)


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
    files = chemprop_files(config.released) if config.released and given.released is None else []
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


def _opened(released: Any, template: nn.Module, samples: Samples) -> tuple[nn.Module, Mapping[str, str], int | None]:
    """Return a released model in the template's architecture, forms of its quantized weights, bits of activations."""
    if isinstance(released, str | Path) and (files := chemprop_files(released)):
        return fill_chemprop(files, template), {}, None
    if is_sklearn(released):
        released = as_module(released)
    if isinstance(released, nn.Module):
        module = unwrap(released)
        check_match(template, dict(checkpoints_of(module).at(0).params), subject="the released model")
        return module, {}, None
    path = Path(released)
    if (opened := open_program(path)) is None:
        return *filled_from(path, template), None
    program, graph = opened
    inputs = torch.as_tensor(samples.inputs[:COMPARED])
    wanted = _outputs(program, inputs)

    def off(network: nn.Module) -> float:
        given = _outputs(network, inputs)
        if given.shape != wanted.shape:
            raise InvalidInput(
                f"{path.name}: it must give outputs of shape {tuple(given.shape)}, as the network does. Found "
                f"{tuple(wanted.shape)}. Check that it is this network's program."
            )
        return float((given - wanted).norm() / (wanted - wanted.mean(0)).norm().clamp_min(1e-12))

    return *place_by_run(graph.weights(), template, off, subject=path.name), graph.activation_bits


def _outputs(module: nn.Module, inputs: Tensor) -> Tensor:
    with torch.no_grad():
        return output_tensor(module(inputs)).double()


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


SUBJECT = Kind(_asked, place=10)
