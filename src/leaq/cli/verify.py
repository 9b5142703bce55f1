"""``leaq verify`` and ``leaq clean``: is a run folder what leaq wrote, and what of it may be shown?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leaq.cli import console
from leaq.cli.completing import Run, complete_runs, there
from leaq.errors import InvalidInput
from leaq.training.config import Device

if TYPE_CHECKING:
    from leaq.reporting.recheck import Rechecked


CARD = "Of a card"


def verify_command(
    what: Annotated[
        Path,
        typer.Argument(
            metavar="WHAT",
            help="A run folder, or a card: the JSON or HTML file of show --profile.",
            autocompletion=complete_runs,
        ),
    ],
    key: Annotated[
        Path | None,
        typer.Option(help="Public key (PEM) the card must be signed with; by default any.", rich_help_panel=CARD),
    ] = None,
    source: Annotated[
        str, typer.Option(help="Where the data lies, if not under the card's own name for it.", rich_help_panel=CARD)
    ] = "",
    rerun: Annotated[
        bool, typer.Option("--rerun/--no-rerun", help="Compute a random tenth again.", rich_help_panel=CARD)
    ] = True,
    device: Annotated[
        Device | None, typer.Option(help="Where models run; by default where the card's did.", rich_help_panel=CARD)
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON and nothing else.")] = False,
) -> None:
    """Check that a run folder is what was written, or that a card is signed and a random tenth of it comes out again.

    Of a folder every file is checked, whole and under its own name; nothing is changed. Of a card the signature is
    checked, and numbers drawn anew each time are computed again and held against the stated intervals. Exit code 1 if
    something is wrong.

    Examples:

        leaq verify runs/mine

        leaq verify mine-edpb.json --key auditor.pub
    """
    if not what.is_file():
        there(what)
    if what.is_file():
        _card(what, key, source, device or "", rerun=rerun, as_json=json)
        return
    if key is not None or source or device:
        raise InvalidInput(
            "--key, --source and --device are for a card, a file. Found a folder, whose files have checksums, no "
            "signatures."
        )
    _folder(what, as_json=json)


def _folder(run: Path, *, as_json: bool) -> None:
    from leaq.study.verifying import verify as check

    found = check(run)
    if as_json:
        console.say_json(found, whole=found.whole)
    else:
        for one in found.damaged:
            console.say(f"DAMAGED  {one.file}: {one.reason}")
        for note in found.notes:
            console.note(note)
        console.say(f"{found.checked} files checked, {len(found.damaged)} damaged.")
    if not found.whole:
        raise typer.Exit(1)


def _card(path: Path, key: Path | None, source: str, device: str, *, rerun: bool, as_json: bool) -> None:
    from leaq.reporting.recheck import recheck

    with console.progress_bar(quiet=as_json) as progress:
        found = recheck(path, key_file=key, source=source, rerun=rerun, device=device, progress=progress)
    if as_json:
        console.say_json(
            found, whole=found.whole, compared=[{"agrees": one.agrees, **vars(one)} for one in found.compared]
        )
    else:
        _say(found)
    if not found.whole:
        raise typer.Exit(1)


def _say(found: "Rechecked") -> None:
    said = {
        "valid": f"The signature is that of key {found.key}.",
        "none": "No signature.",
        "invalid": "FORGED or changed: the signature is not that of this card.",
        "other key": f"Signed by another key ({found.key or 'none'}) than the one named.",
    }
    console.say(said[found.signed])
    for one in found.compared:
        low, high = one.stated
        mark = "agrees  " if one.agrees else "DIFFERS "
        before, now = one.rests_on
        others = "" if one.same_records else f"; of {now} observations, stated {before}: the records are others"
        console.say(f"{mark} {one.name}: computed {one.found:.3f}, stated [{low:.3f}, {high:.3f}]{others}")
    for note in found.notes:
        console.note(note)


def clean_command(
    run: Run,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print what went as JSON and nothing else.")] = False,
) -> None:
    """Remove everything from a run folder that can give members away; results that may be shared stay.

    Losses by record, row numbers, risks by record, tracebacks and set-aside files go. What stays: configuration,
    results.csv and the cells, which hold aggregates only.
    """
    from leaq.study.cleaning import clean as remove

    removed = remove(run, dry_run=dry_run)
    if json:
        console.say_json(removed, dry_run=dry_run)
        return
    links = f" {removed.links} were links; what they point to was left alone." if removed.links else ""
    verb = "Would remove" if dry_run else "Removed"
    size = f"{removed.files} files, {removed.bytes / 2**20:.1f} MiB"
    console.note(f"{verb} {size}.{links} See what is left: leaq show {run} --what")
