"""``leaq show``: print what a run folder holds."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leaq.cli import console
from leaq.cli.completing import complete_runs, there, there_if_given
from leaq.errors import InvalidInput

if TYPE_CHECKING:
    from leaq.study.failures import Failure

__all__ = ["show"]


def show(
    run: Annotated[Path, typer.Argument(help="A run folder.", autocompletion=complete_runs, callback=there)],
    other: Annotated[
        Path | None,
        typer.Argument(
            help="A second run folder: both audits beside each other.",
            autocompletion=complete_runs,
            callback=there_if_given,
            show_default=False,
        ),
    ] = None,
    cells: Annotated[bool, typer.Option("--cells", help="Print the table of every cell of a study too.")] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print the results as JSON, one a line; with --what, one list.")
    ] = False,
    what: Annotated[
        bool, typer.Option("--what", help="Say what the folder holds, and what of it can give members away.")
    ] = False,
) -> None:
    """Print what a run folder holds; nothing is computed.

    Of two run folders the audits stand beside each other. A study is summed up: each quantizer over all cells, then
    each data set, then what failed and why. A single audit is printed whole.
    """
    if what:
        _what(run, as_json=json)
        return
    if other is not None:
        _two(run, other, alone=not (cells or json))
        return
    from leaq.reporting.summary import by_data_set, by_quantizer
    from leaq.reporting.tables import ranking, reading
    from leaq.study import Store
    from leaq.study.failures import Failures

    store = Store(run)
    failures = list(Failures(store.folder / "failed"))
    if failures and not store.count():
        _failed(failures)
        return
    if json:
        for result in store.ordered():
            console.say(" ".join(result.to_json().split("\n")))
        return
    results = store.summaries() if store.count() > 1 and not cells else store.finished()
    if len(results) > 1:
        for table in by_quantizer(results):
            console.show_table(table)
            console.say("")
        console.show_table(by_data_set(results))
    if cells or len(results) == 1:
        for result in results:
            console.show_table(ranking(result))
            console.show_tasks(result)
            console.paragraph("\n" + reading(result) + "\n")
    else:
        console.note(f"Every cell: leaq show {run} --cells. A page with pictures: leaq report {run} FILE.html")
    _failed(failures)


def _two(run: Path, other: Path, *, alone: bool) -> None:
    from leaq.reporting.beside import beside, verdicts
    from leaq.study import Store

    if not alone:
        raise InvalidInput("Two runs are shown as a table. Found --cells or --json. Show each run for itself.")
    found = [Store(folder).finished() for folder in (run, other)]
    for folder, results in zip((run, other), found, strict=True):
        if len(results) != 1:
            raise InvalidInput(
                f"Two runs side by side must hold one audit each. Found {len(results)} in {str(folder)!r}."
            )
    console.show_table(beside(found[0][0], found[1][0]))
    for line in verdicts(found[0][0], found[1][0]):
        console.paragraph(line)


def _failed(failures: "list[Failure]") -> None:
    from leaq.study.failures import grouped

    for reason, names in grouped(failures).items():
        listed = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
        console.say(f"FAILED  {len(names)} {'cell' if len(names) == 1 else 'cells'} ({listed}): {reason}")
    if failures:
        console.note("Tracebacks stand in the folder failed; the command of the run with --retry-failed tries again.")


def _what(run: Path, *, as_json: bool) -> None:
    from leaq.study.cleaning import holdings

    if as_json:
        from leaq.results import as_plain

        console.say_json(as_plain(holdings(run)))
        return
    for one in holdings(run):
        mark = "may be shared" if one.shareable else "SENSITIVE"
        console.say(f"{mark:<14} {one.place:<12} {one.files:>5} files {one.bytes / 2**20:>8.1f} MiB  {one.what}")
    console.note(f"Remove what is sensitive: leaq clean {run}")
