"""What the verbs that train share: reading options, saying the cost, running with a progress bar."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from leaq.cli import console
from leaq.errors import InvalidInput

if TYPE_CHECKING:
    from leaq.cell import AuditConfig
    from leaq.results import CellResult

__all__ = ["DATA", "MODEL", "OUTPUT", "build_config", "name_folders", "run_config", "widths"]

DATA, MODEL, OUTPUT = "What to audit", "How models are trained and attacked", "Where results go"


def build_config(**options: Any) -> "AuditConfig":
    """Check all options at once."""
    from leaq.cell import AuditConfig

    return AuditConfig.from_dict(options)


def name_folders(**folders: Path | None) -> None:
    """Put folders where every process of this run finds them; they are no part of the configuration."""
    for variable, folder in folders.items():
        if folder is not None:
            if not folder.is_dir():
                raise InvalidInput(f"There is no folder {str(folder)!r}. Create it, or name another one.")
            os.environ[variable] = str(folder.resolve())


def widths(text: str) -> tuple[int, ...]:
    """Read --hidden."""
    if text.strip().lower() in ("none", ""):
        return ()
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InvalidInput(f"--hidden must be widths such as 128,64, or none. Found {text!r}.") from None


def run_config(config: "AuditConfig", out: Path | None, *, quiet: bool) -> "CellResult":
    """Run an audit; say beforehand what it costs."""
    from leaq.pipeline import audit_samples, prepare
    from leaq.study import audit_into

    try:
        with console.progress_bar(quiet=quiet) as progress:
            samples, resolved = prepare(config, progress=progress)
        if not quiet:
            from leaq.costing import cost

            console.note(cost(samples, resolved).sentence())
        with console.progress_bar(quiet=quiet) as progress:
            if out is None:
                return audit_samples(samples, resolved, progress=progress)
            return audit_into(config, out, progress=progress)
    except KeyboardInterrupt:
        kept = "Nothing was kept: name a run folder with --out to be able to resume."
        if out is not None:
            kept = f"Finished work is kept in {out}. Resume: the same command again."
        console.note(f"Interrupted. {kept}")
        raise typer.Exit(130) from None
