"""``leaq audit-model``: what a finished model gives away; nothing is trained."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leaq.cli import console
from leaq.cli.running import Json, Quiet, Report, write_page
from leaq.errors import InvalidInput
from leaq.files import writable_place

if TYPE_CHECKING:
    from leaq.results import CellResult

__all__ = ["audit_model"]

DATA, MODEL = "Records", "The model"


def audit_model(
    weights: Annotated[
        Path,
        typer.Argument(
            help="A file of weights (safetensors or GGUF, with --arch), a program that runs by itself (ONNX, "
            "TorchScript, .pt2, LiteRT, OpenVINO), or a language model (a folder or GGUF). Pickled weights are refused."
        ),
    ],
    members: Annotated[
        Path,
        typer.Option(
            help="Records that trained the model: NPZ with arrays x and y; for a language model a text file, one text "
            "a line, or .jsonl with 'text', or with 'prompt' and 'completion' (the answers alone are scored).",
            rich_help_panel=DATA,
        ),
    ],
    nonmembers: Annotated[
        Path,
        typer.Option(help="Records of the same origin that did not train it, in the same form.", rich_help_panel=DATA),
    ],
    arch: Annotated[
        str | None,
        typer.Option(
            help="module:function that builds the network. THIS IMPORTS AND RUNS YOUR CODE from the current folder: "
            "name only code you trust.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    loss: Annotated[
        str,
        typer.Option(
            help="auto, cross_entropy, binary, squared_error, gaussian, gaussian_log, or module:function of (outputs, "
            "targets) that returns one value per record (imported and run like --arch).",
            rich_help_panel=MODEL,
        ),
    ] = "auto",
    quantizers: Annotated[
        str,
        typer.Option(
            help="Comma-separated specifications or families, as for leaq audit. Full precision is always measured.",
            rich_help_panel=MODEL,
        ),
    ] = "study,uniform(bits=8)",
    shipped: Annotated[
        list[str] | None,
        typer.Option(
            help="name=file: the same network quantized elsewhere (GGUF, GPTQ, AWQ, compressed-tensors, bitsandbytes, "
            "torchao, ONNX, LiteRT, OpenVINO, ...); may be repeated.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(
            help="Folder of a language model that has not seen the members; calibrates the attack.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    length: Annotated[
        int | None,
        typer.Option(
            help="Tokens of a text that are read, for language models; by default as many as the model takes. What is "
            "cut is counted.",
            rich_help_panel=DATA,
        ),
    ] = None,
    n_train: Annotated[
        int | None,
        typer.Option(
            help="Records the model was trained on, where --members holds only some of them.", rich_help_panel=DATA
        ),
    ] = None,
    keep_overlap: Annotated[
        bool,
        typer.Option(
            "--keep-overlap",
            help="Keep non-members with the inputs of a member, and flag them, instead of refusing.",
            rich_help_panel=DATA,
        ),
    ] = False,
    seed: Annotated[int, typer.Option(help="The same seed gives the same numbers.", rich_help_panel=MODEL)] = 0,
    report: Report = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Tell what a finished model gives away under every quantizer, from members and held-out records alone.

    Nothing is trained and no shadow models are made; measures that would need them are named with what is missing.

    Examples:

        leaq audit-model weights.safetensors --arch nets:make --members a.npz --nonmembers b.npz

        leaq audit-model my-language-model --members seen.txt --nonmembers unseen.txt --reference base-model
    """
    if report is not None:
        writable_place(report)
    options: dict[str, Any] = {
        "arch": arch,
        "loss": loss,
        "quantizers": (quantizers,),
        "shipped": _shipped(shipped or []),
        "reference": reference,
        "length": length,
        "n_train": n_train,
        "overlap": "keep" if keep_overlap else "refuse",
        "seed": seed,
    }
    _show(_run(weights, members, nonmembers, options, quiet=quiet or json), report, as_json=json)


def _shipped(given: list[str]) -> dict[str, Path]:
    pairs = [item.partition("=") for item in given]
    bad = [item for item, (name, _, place) in zip(given, pairs, strict=True) if not (name and place)]
    if bad:
        raise InvalidInput(f"--shipped must read name=file. Found {bad[0]!r}.")
    return {name: Path(place) for name, _, place in pairs}


def _run(weights: Path, members: Path, nonmembers: Path, options: dict[str, Any], *, quiet: bool) -> "CellResult":
    from leaq.auditing.files import audit_files

    with console.progress_bar(quiet=quiet) as progress:
        return audit_files(weights, members, nonmembers, progress=progress, **options)


def _show(result: "CellResult", report: Path | None, *, as_json: bool) -> None:
    from leaq.reporting.tables import ranking, reading

    if as_json:
        console.say(result.to_json())
    else:
        console.show_table(ranking(result))
        console.say("\n" + reading(result))
        for name, reason in result.not_computed.items():
            console.note(f"Not computed: {name}. {reason}")
    write_page(result, report)
