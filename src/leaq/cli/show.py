"""``leaq show``: print what a run folder holds, and write it into files for others."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leaq.cli import console
from leaq.cli.completing import Run, complete_runs, there
from leaq.cli.configured import bundled
from leaq.cli.pages import FormOptions, Pages
from leaq.cli.screen import PRINTED, Shown
from leaq.errors import InvalidInput, agreeing, counted, some

if TYPE_CHECKING:
    from leaq.study import Store
    from leaq.study.failures import Failure


@bundled(Shown, Pages, FormOptions)
def show_command(
    shown: Shown,
    pages: Pages,
    form: FormOptions,
    *,
    run: Run,
    other: Annotated[
        Path | None,
        typer.Argument(
            metavar="OTHER",
            help="A second run folder: both audits beside each other.",
            autocompletion=complete_runs,
            callback=lambda folder: folder and there(folder),
            show_default=False,
        ),
    ] = None,
    cells: Annotated[
        bool, typer.Option("--cells", help="Print the table of every cell of a study too.", rich_help_panel=PRINTED)
    ] = False,
    what: Annotated[
        bool,
        typer.Option(
            "--what", help="Say what the folder holds, and what of it can give members away.", rich_help_panel=PRINTED
        ),
    ] = False,
) -> None:
    """Print what a run folder holds, or write it into files for others; nothing is computed.

    Of two run folders the audits stand beside each other. A study is summed up: each quantizer over all cells, then
    each data set, then what failed and why. A single audit is printed whole. Files hold aggregates only and can be
    passed on, unless --internal asks for single records; a privacy card and a form never name any.

    Examples:

        leaq show runs/x

        leaq show runs/x --open

        leaq show runs/x --report x.html --card x.md --exports

        leaq show runs/x --profile edpb --max-leak 0.1 --reason 'policy 7' --auditor 'A. Lovelace' --sign key.pem
    """
    shown.check()
    form.check()
    if what:
        _what(run, as_json=shown.json_)
    elif other is not None:
        _two(run, other, alone=not (cells or shown.json_ or pages.any or form.profile))
    else:
        if files := pages.any or bool(form.profile):
            _files(run, pages, form)
        if not files or cells or shown.any:
            _print(run, shown, cells=cells)


def _files(run: Path, pages: Pages, form: FormOptions) -> None:
    from leaq.study import Store
    from leaq.study.failures import Failures

    store = Store(run)
    if form.profile is None:
        pages.check(run)
        pages.write(run, lambda: _held(store, pages))
        if failed := len(list(Failures(store.folder / "failed"))):
            console.note(f"{counted(failed, 'cell')} failed and {agreeing(failed, 'are')} not in it: leaq show {run}")
        return
    if pages.internal or pages.exports or pages.card is not None:
        raise InvalidInput("--profile writes a form of its own. Found it with --internal, --exports or --card.")
    place = form.write(store, pages.report)
    if pages.open_:
        typer.launch(str(place.resolve()))


def _held(store: "Store", pages: Pages) -> Any:
    """Return the cells: with risks for the internal edition, and no more than a page needs where that is enough.

    Of a single audit a page says how exposed kinds of molecules are, which rests on risks and names nobody.
    """
    if pages.internal or (store.count() == 1 and not store.cleaned):
        return store.with_risks()
    return store.finished() if pages.exports or pages.card else store.reported()


def _print(run: Path, shown: Shown, *, cells: bool) -> None:
    from leaq.reporting.study_tables import by_data_set, by_quantizer
    from leaq.study import Store
    from leaq.study.failures import Failures

    store = Store(run)
    failures = list(Failures(store.folder / "failed"))
    if failures and not store.count():
        _failed(failures)
        return
    if shown.json_:
        for key in store.ordered():
            console.say(store.line(key))
        return
    whole = store.count() == 1 or cells or shown.every_attack or shown.lambda_ or shown.show_records
    results = (store.with_risks() if shown.show_records else store.finished()) if whole else store.summaries()
    if len(results) > 1:
        for table in by_quantizer(results):
            console.show_table(table)
            console.say("")
        console.show_table(by_data_set(results))
    for result in results if whole else ():
        shown.show(result, run if len(results) == 1 else None)
        console.say("")
    if not whole:
        console.note(f"Every cell: leaq show {run} --cells. A page with pictures: leaq show {run} --open")
    _failed(failures)


def _two(run: Path, other: Path, *, alone: bool) -> None:
    from leaq.reporting.comparison import beside, verdicts
    from leaq.study import Store

    if not alone:
        raise InvalidInput(
            "Two runs are shown as one table. Found an option for a single run. Show each run for itself."
        )
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
    from leaq.study.failures import by_reason

    for reason, names in by_reason(failures).items():
        listed = some(names, 4)
        console.say(f"FAILED  {len(names)} {'cell' if len(names) == 1 else 'cells'} ({listed}): {reason}")
    if failures:
        console.note("Tracebacks stand in the folder failed; the command of the run with --retry-failed tries again.")


def _what(run: Path, *, as_json: bool) -> None:
    from leaq.study.cleaning import holdings

    if as_json:
        console.say_json(holdings(run))
        return
    for one in holdings(run):
        mark = "may be shared" if one.shareable else "SENSITIVE"
        console.say(f"{mark:<14} {one.place:<12} {one.files:>5} files {one.bytes / 2**20:>8.1f} MiB  {one.what}")
    console.note(f"Remove what is sensitive: leaq clean {run}")
