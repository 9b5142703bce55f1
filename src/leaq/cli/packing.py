"""One weight file in, one packed file out: what ``leaq protect FILE --with`` does."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated

import typer

from leaq.cli import console
from leaq.cli.configured import CommandLine
from leaq.errors import InvalidInput
from leaq.system.files import is_model

PACKING = "A weight file, quantized as told"


@dataclass(frozen=True)
class Packing:
    """How a weight file is packed."""

    scheme: Annotated[
        str | None,
        typer.Option(
            "--with", help="A quantizer, e.g. 'uniform(bits=4)'; see leaq list quantizers.", rich_help_panel=PACKING
        ),
    ] = None
    keep: Annotated[
        list[str] | None,
        typer.Option(
            help="Pattern of parameters that stay in full precision, e.g. 'head.*'; may be repeated.",
            rich_help_panel=PACKING,
        ),
    ] = None
    embedding: Annotated[
        list[str] | None,
        typer.Option(help="Pattern of embedding weights (looked up); may be repeated.", rich_help_panel=PACKING),
    ] = None


def pack_instead(named: CommandLine) -> bool:
    """Pack what was named if a quantizer is given for it; refuse options of packing for anything else."""
    own = [item.name for item in fields(Packing)]
    if not is_model(named.source):
        named.refuse_these(own, "These are options for a weight file (safetensors), and the source is none.")
        return False
    packing = named.bundle(Packing)
    if packing.scheme is None:
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

    quantizer = build(str(packing.scheme))
    if quantizer.needs.calibration or quantizer.needs.model:
        raise InvalidInput(
            f"{quantizer.spec()}: needs {quantizer.needs}, and a weight file holds none. In Python give them: "
            "leaq.quantizers.pack(checkpoints, quantizer, path, calibration=Calibration(model, inputs))."
        )
    weights = read_weights(model, keep=packing.keep or (), embeddings=packing.embedding or ())
    size = pack(weights, quantizer, out)
    if json:
        from leaq.results import as_plain

        tensors = len(quantizable(weights))
        console.say_json({"file": str(out), "quantizer": quantizer.spec(), "tensors": tensors, **as_plain(size)})
        return
    console.say(
        f"{out}: {quantizer.label()}, {len(quantizable(weights))} weight tensors. {size.bits:.3g} bits a weight "
        f"({size.entropy_bits:.3g} as entropy), {size.bytes} bytes without the header, {size.compression:.3g} times "
        "smaller."
    )
    console.note(quantizer.describe())
