"""One weight file in, one packed file out: what ``leaq protect FILE --with`` does."""

from pathlib import Path
from typing import ClassVar

from pydantic import ConfigDict

from leaq.cli import console
from leaq.cli.configured import CommandLine
from leaq.config import Config
from leaq.errors import InvalidInput
from leaq.system.files import is_model


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
