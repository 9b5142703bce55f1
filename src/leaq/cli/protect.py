"""``leaq protect``: the release that leaks least within an accuracy budget; of a weight file, one quantized as told."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer
from pydantic import ConfigDict

from leaq.cli import console
from leaq.cli.configured import CommandLine, configured
from leaq.cli.running import RUN, Folders, first_reading, resumable
from leaq.config import Config
from leaq.errors import InvalidInput
from leaq.system.files import is_model

if TYPE_CHECKING:
    from leaq.pipeline.cell import AuditConfig


Drop = Annotated[
    float,
    typer.Option(
        min=0,
        metavar="<float>",
        help="By how much ROC-AUC or R2 may fall below full precision.",
        rich_help_panel="What to find",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        help="Folder for protected.safetensors, card.md and the audit (private to you); the same command again goes on "
        "after an interruption, or reads what is finished.",
        rich_help_panel=RUN,
    ),
]


class Packing(Config):
    """How a weight file is packed."""

    model_config: ClassVar[ConfigDict] = ConfigDict(title="A weight file, quantized as told")

    with_: str | None = None
    """A quantizer, e.g. 'uniform(bits=4)'; see leaq list quantizers."""
    keep: tuple[str, ...] = ()
    """Pattern of parameters that stay in full precision, e.g. 'head.*'; may be repeated."""
    embedding: tuple[str, ...] = ()
    """Pattern of embedding weights (looked up); may be repeated."""


def pack_instead(named: CommandLine) -> bool:
    """Pack what was named if a quantizer is given for it; refuse options of packing for anything else."""
    own = tuple(Packing.model_fields)
    if not is_model(named.source):
        named.refuse_these(own, "These are options for a weight file (safetensors), and the source is none.")
        return False
    packing = named.bundle(Packing)
    if packing.with_ is None:
        raise InvalidInput(
            f"{Path(named.source).name} is a finished model: nothing can be trained to protect it. Quantize it as told "
            "with --with QUANTIZER, or measure what it gives away: leaq audit."
        )
    named.refuse_others((*own, "out", "json", "quiet"), "A weight file is quantized as told, and nothing is trained.")
    if named.said.get("out") is None:
        raise InvalidInput("Quantizing a weight file writes a new one. Name it with --out, a .safetensors file.")
    _pack(Path(named.source), named.said["out"], packing, json=bool(named.said.get("json")))
    return True


def _pack(model: Path, out: Path, packing: Packing, *, json: bool) -> None:
    from leaq.quantizers import build, pack, quantizable, read_weights

    quantizer = build(str(packing.with_))
    if quantizer.needs.calibration or quantizer.needs.model:
        raise InvalidInput(
            f"{quantizer.spec()}: needs {quantizer.needs}, and a weight file holds none. In Python give them: "
            "leaq.quantizers.pack(checkpoints, quantizer, path, calibration=Calibration(model, inputs))."
        )
    weights = read_weights(model, keep=packing.keep, embeddings=packing.embedding)
    size = pack(weights, quantizer, out)
    if json:
        console.say_json(size, file=str(out), quantizer=quantizer.spec(), tensors=len(quantizable(weights)))
        return
    console.say(
        f"{out}: {quantizer.label()}, {len(quantizable(weights))} weight tensors. {size.bits:.3g} bits a weight "
        f"({size.entropy_bits:.3g} as entropy), {size.bytes} bytes without the header, {size.compression:.3g} times "
        "smaller."
    )
    console.note(quantizer.describe())


@configured("protect", Folders, Packing, instead=pack_instead)
def protect_command(
    config: "AuditConfig",
    folders: Folders,
    _packing: Packing,
    *,
    max_drop: Drop = 0.02,
    out: Out = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print what was found as JSON and nothing else.", rich_help_panel=RUN)
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.", rich_help_panel=RUN)] = False,
) -> None:
    """Find the release of a model that leaks least within an accuracy budget, prove it, and write it.

    leaq trains models on random halves of the records, releases them in every way of --quantizers, keeps those whose
    accuracy on records set aside for the choice falls by at most --max-drop, attacks these, and takes the one that
    gives away least. New models, trained after the choice, are audited to prove it; then one is trained on all records
    but the public ones and written. Of a weight file nothing can be trained: it is quantized --with what you name.

    Examples:

        leaq protect freesolv

        leaq protect my.csv --target y --smiles smiles --public public.csv --max-drop 0.01 --out protected

        leaq protect model.safetensors --with 'uniform(bits=4)' --out packed.safetensors
    """
    folders.use()
    first_reading(config)
    from leaq.api.protecting import protect as run
    from leaq.reporting.narrative import reading
    from leaq.reporting.tables import ranking

    with resumable(out), console.progress_bar(quiet=quiet or json) as progress:
        found = run(config, max_drop=max_drop, out=out, progress=progress)
    if json:
        console.say_json(found.to_plain())
        return
    console.show_table(ranking(found.audit))
    console.show_tasks(found.audit)
    console.paragraph("\n" + reading(found.audit))
    console.paragraph("\n" + found.chosen)
    if out is not None:
        console.note(
            f"Written: {out / 'protected.safetensors'}, {out / 'card.md'} (both to be shared), {out / 'audit'}"
        )
    else:
        console.note("Nothing was written. --out FOLDER writes the release, its card and the audit.")
