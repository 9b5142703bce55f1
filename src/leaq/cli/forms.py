"""The form of a regulator or output checker, written from a run folder."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leaq.cli import console
from leaq.errors import InvalidInput

if TYPE_CHECKING:
    from leaq.study import Store

FORM = "The form of a regulator or output checker"


@dataclass(frozen=True)
class FormOptions:
    """What goes into a form beside the numbers, and who signs it."""

    profile: Annotated[
        str | None,
        typer.Option(
            help="Write a form: edpb or cnil (is the model anonymous?), tre (output check); HTML, and beside it JSON "
            "that leaq verify checks and YAML for a model card's metadata.",
            rich_help_panel=FORM,
        ),
    ] = None
    quantizer: Annotated[
        str, typer.Option(help="What is released; by default what leaq decide names.", rich_help_panel=FORM)
    ] = ""
    max_leak: Annotated[
        float | None,
        typer.Option(help="Your threshold for the advantage of any attack, at its upper end.", rich_help_panel=FORM),
    ] = None
    reason: Annotated[str, typer.Option(help="Why this threshold.", rich_help_panel=FORM)] = ""
    auditor: Annotated[str, typer.Option(help="Who answers for the form.", rich_help_panel=FORM)] = ""
    artefact: Annotated[
        Path | None, typer.Option(help="The file that will be released; its hash goes in.", rich_help_panel=FORM)
    ] = None
    sign: Annotated[
        Path | None,
        typer.Option(help="Private key (Ed25519, PEM) to sign with; leaq verify checks.", rich_help_panel=FORM),
    ] = None

    def check(self) -> None:
        """Refuse answers without a form that they belong to."""
        if self.profile is None:
            given = [
                f"--{one.name.replace('_', '-')}" for one in fields(self) if getattr(self, one.name) != one.default
            ]
            if given:
                raise InvalidInput(
                    f"{', '.join(given)}: an answer for a form. Found no --profile. Name edpb, cnil or tre."
                )

    def write(self, store: "Store", html: Path | None) -> Path:
        """Write the form of the one audit of a run folder, and return where."""
        from datetime import UTC, datetime

        from leaq.reporting.form import Auditor, fill_form
        from leaq.reporting.form_files import write_form
        from leaq.reporting.html import check_place

        profile = str(self.profile)
        place = html or store.folder / f"{profile}.html"
        results = store.finished() if store.cleaned else store.with_risks()
        if len(results) != 1:
            raise InvalidInput(
                f"A form is about one audit. Found {len(results)} in {str(store.folder)!r}. Name another folder."
            )
        check_place(place)
        answers = Auditor(self.auditor, self.max_leak, self.reason, self.artefact)
        form = fill_form(results[0], profile, quantizer=self.quantizer, auditor=answers, now=datetime.now(UTC))
        written = write_form(form, place, key_file=self.sign)
        console.note(f"Form: {', '.join(map(str, written))}" + (", signed" if self.sign else ""))
        left = [one.key for one in form.answers if one.status == "open"]
        if left:
            console.note(f"Left open: {', '.join(left)}. The form says what would answer them.")
        return written[0]
