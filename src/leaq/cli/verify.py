"""``leaq verify``: is a run folder to the byte what leaq wrote?"""

from pathlib import Path
from typing import Annotated

import typer

from leaq.cli import console

__all__ = ["verify"]


def verify(
    run: Annotated[Path, typer.Argument(help="A run folder, made by --out.")],
    json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON and nothing else.")] = False,
) -> None:
    """Check that every file of a run folder is what was written, whole and under its own name; nothing is changed.

    Finds bad disks, half copies, and files that were restored from an older backup or mixed up. Exit code 1 if one is \
    damaged: the command that made the folder sets it aside and computes it again.
    """
    from leaq.study.verifying import verify as check

    found = check(run)
    if json:
        from leaq.results import as_plain

        console.say_json({"whole": found.whole, **as_plain(found)})
    else:
        for one in found.damaged:
            console.say(f"DAMAGED  {one.file}: {one.reason}")
        for note in found.notes:
            console.note(note)
        console.say(f"{found.checked} files checked, {len(found.damaged)} damaged.")
    if not found.whole:
        raise typer.Exit(1)
