"""``leaq report``: write the report of a run folder, a privacy card, or the form of a regulator."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leaq.cli import console
from leaq.cli.completing import complete_runs, there
from leaq.errors import InvalidInput

if TYPE_CHECKING:
    from leaq.study import Store

__all__ = ["report"]

FORM = "The form of a regulator or output checker (--profile)"


def report(
    run: Annotated[Path, typer.Argument(help="A run folder.", autocompletion=complete_runs, callback=there)],
    html: Annotated[
        Path | None, typer.Argument(help="The HTML file to write; by default in the run folder.", show_default=False)
    ] = None,
    exports: Annotated[
        bool, typer.Option("--exports", help="Write the numbers beside it too: the same name with .json and .csv.")
    ] = False,
    internal: Annotated[
        bool,
        typer.Option(
            "--internal",
            help="Add the records most at risk, by row number. It gives members away: readable by you alone (mode "
            "0600), not to be passed on.",
        ),
    ] = False,
    card: Annotated[
        Path | None, typer.Option(help="Write a privacy card in Markdown too, to paste into a model card.")
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    profile: Annotated[
        str | None,
        typer.Option(
            help="Write a form instead: edpb or cnil (is the model anonymous?), tre (output check); HTML, and beside "
            "it JSON to check and YAML for a model card's metadata.",
            rich_help_panel=FORM,
        ),
    ] = None,
    quantizer: Annotated[
        str, typer.Option(help="What is released; by default what leaq decide names.", rich_help_panel=FORM)
    ] = "",
    max_leak: Annotated[
        float | None,
        typer.Option(help="Your threshold for the advantage of any attack, at its upper end.", rich_help_panel=FORM),
    ] = None,
    reason: Annotated[str, typer.Option(help="Why this threshold.", rich_help_panel=FORM)] = "",
    auditor: Annotated[str, typer.Option(help="Who answers for the form.", rich_help_panel=FORM)] = "",
    artefact: Annotated[
        Path | None, typer.Option(help="The file that will be released; its hash goes in.", rich_help_panel=FORM)
    ] = None,
    sign: Annotated[
        Path | None,
        typer.Option(help="Private key (Ed25519, PEM) to sign with; leaq verify checks.", rich_help_panel=FORM),
    ] = None,
) -> None:
    """Write the HTML report of a run folder, or the form a regulator asks for; nothing is computed.

    Everything written holds aggregates only and can be passed on, unless --internal asks for single records. A
    privacy card and a form never name any.

    Examples:

        leaq report runs/x x.html --exports --card x.md

        leaq report runs/x --profile edpb --max-leak 0.1 --reason 'policy 7' --auditor 'A. Lovelace' --sign key.pem
    """
    from leaq.study import Store

    store = Store(run)
    if profile is not None:
        if internal or exports or card is not None:
            raise InvalidInput("--profile writes a form of its own. Found it with --internal, --exports or --card.")
        place = _form(
            store, html or run / f"{profile}.html", profile, (quantizer, max_leak, reason, auditor, artefact, sign)
        )
    else:
        if (quantizer, max_leak, reason, auditor, artefact, sign) != ("", None, "", "", None, None):
            raise InvalidInput(f"{FORM}: options of that panel need --profile. Found none. Name edpb, cnil or tre.")
        place = _page(store, html or run / "report.html", exports=exports, internal=internal, card=card)
    if show:
        typer.launch(str(place.resolve()))


def _page(store: "Store", html: Path, *, exports: bool, internal: bool, card: Path | None) -> Path:
    from leaq.reporting.card import write_cards
    from leaq.reporting.exports import write_exports
    from leaq.reporting.html import check_place, write_report

    whole = store.with_risks if internal else store.finished
    results = whole() if internal or exports or card is not None else store.reported()
    check_place(html)
    write_report(results, html, "internal" if internal else "shareable")
    console.note(f"Report: {html}" + (" (names training records; do not pass it on)" if internal else ""))
    if exports:
        console.note("Exports: {}, {}".format(*write_exports(results, html, internal=internal)))
    if card is not None:
        console.note(f"Card: {write_cards(results, card)}")
    return html


Said = tuple[str, float | None, str, str, Path | None, Path | None]


def _form(store: "Store", html: Path, profile: str, said: Said) -> Path:
    from datetime import UTC, datetime

    from leaq.reporting.form import Auditor, fill
    from leaq.reporting.form_files import write_form
    from leaq.reporting.html import check_place

    quantizer, max_leak, reason, auditor, artefact, key = said
    results = store.finished() if store.cleaned else store.with_risks()
    if len(results) != 1:
        raise InvalidInput(
            f"A form is about one audit. Found {len(results)} in {str(store.folder)!r}. Name another folder."
        )
    check_place(html)
    answers = Auditor(auditor, max_leak, reason, artefact)
    form = fill(results[0], profile, quantizer=quantizer, auditor=answers, now=datetime.now(UTC))
    written = write_form(form, html, key_file=key)
    console.note(f"Form: {', '.join(map(str, written))}" + (", signed" if key else ""))
    left = [one.key for one in form.answers if one.status == "open"]
    if left:
        console.note(f"Left open: {', '.join(left)}. The form says what would answer them.")
    return written[0]
