"""``leaq protect``: the release that leaks least within an accuracy budget, proved and written."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leaq.cli import console
from leaq.cli.configured import configured
from leaq.cli.packing import Packing, pack_instead
from leaq.cli.running import RUN, Folders, first_reading

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

    try:
        with console.progress_bar(quiet=quiet or json) as progress:
            found = run(config, max_drop=max_drop, out=out, progress=progress)
    except KeyboardInterrupt:
        kept = "Nothing was kept: name a folder with --out to be able to resume."
        console.note(f"Interrupted. {kept if out is None else 'Resume: the same command again.'}")
        raise typer.Exit(130) from None
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
