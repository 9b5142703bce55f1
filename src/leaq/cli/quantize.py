"""``leaq quantize``: one weight file in, one packed file out."""

from pathlib import Path
from typing import Annotated

import typer

from leaq.cli import console
from leaq.errors import InvalidInput

__all__ = ["quantize"]


def quantize(
    model: Annotated[Path, typer.Argument(help="Weights of one model, a safetensors file; pickles are refused.")],
    scheme: Annotated[
        str, typer.Option("--with", help="A quantizer, e.g. 'uniform(bits=4)'; see leaq list quantizers.")
    ],
    out: Annotated[Path, typer.Option(help="The packed file to write, a new .safetensors file.")],
    keep: Annotated[
        list[str] | None,
        typer.Option(help="Pattern of parameters that stay in full precision, e.g. 'head.*'; may be repeated."),
    ] = None,
    embedding: Annotated[
        list[str] | None, typer.Option(help="Pattern of embedding weights (looked up); may be repeated.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the sizes as JSON and nothing else.")] = False,
) -> None:
    """Quantize a weight file into packed codes and scales, and say what it weighs.

    Parameters with two axes are linear weights, with three or four convolutions; vectors (biases, norms) stay as
    they are. Quantizers that need calibration records or the architecture are refused: a weight file has neither.

    Examples:

        leaq quantize model.safetensors --with 'uniform(bits=4)' --out packed.safetensors
    """
    from leaq.quantizers import build, pack, quantizable, read_weights

    quantizer = build(scheme)
    if quantizer.needs.calibration or quantizer.needs.model:
        raise InvalidInput(
            f"{quantizer.spec()}: needs {quantizer.needs}, and a weight file holds none. In Python give them: "
            "leaq.quantizers.pack(checkpoints, quantizer, path, calibration=Calibration(model, inputs))."
        )
    weights = read_weights(model, keep=keep or (), embeddings=embedding or ())
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
