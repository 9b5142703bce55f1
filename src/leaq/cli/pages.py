"""The files that a result is written into: page, card, exports, and the form of a regulator or output checker."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import typer
from pydantic import ConfigDict

from leaq.cli import console
from leaq.config import Config
from leaq.errors import InvalidInput

if TYPE_CHECKING:
    from leaq.results import CellResult
    from leaq.study import Store


class Pages(Config):
    """What is written of a result, and where."""

    model_config: ClassVar[ConfigDict] = ConfigDict(title="Files to write")

    report: Path | None = None
    """Write the HTML report: one file, works offline."""
    open_: bool = False
    """Open the report in the browser; by default RUN/report.html."""
    card: Path | None = None
    """Write a privacy card in Markdown, to paste into a model card."""
    exports: bool = False
    """Write the numbers beside the report: the same name, .json and .csv."""
    internal: bool = False
    """Add the records most at risk to the report, by row number. It gives members away: readable by you alone (mode
    0600), not to be passed on."""

    @property
    def any(self) -> bool:
        """Whether any file is asked for."""
        return bool(self.report or self.open_ or self.card or self.exports or self.internal)

    def place(self, run: Path | None) -> Path | None:
        """Return where the report goes, if one is asked for: as named, or into the run folder."""
        if self.report is not None or not (self.open_ or self.exports or self.internal):
            return self.report
        if run is None:
            raise InvalidInput(
                "--open, --exports and --internal need a report. Found no run folder (LEAQ_RUNS_DIR=off). "
                "Name --report."
            )
        return run / "report.html"

    def check(self, run: Path | None) -> None:
        """Refuse, before the work starts, what cannot be written."""
        place = self.place(run)
        if place is not None and (self.report is not None or (run is not None and run.exists())):
            from leaq.reporting.html import check_place

            check_place(place)
            if self.exports:
                from leaq.reporting.exports import EXPORTS
                from leaq.system.files import places_beside

                places_beside(place, EXPORTS)
        if self.card is not None:
            from leaq.reporting.card import CARD_TITLE
            from leaq.system.files import writable_place

            writable_place(self.card, over=CARD_TITLE)

    def write(self, run: Path | None, results: "Callable[[], Sequence[CellResult]]") -> None:
        """Write what was asked for, say where it is, and open it if asked to."""
        if not self.any:
            return
        place, found = self.place(run), results()
        if place is not None:
            from leaq.reporting.html import write_report

            write_report(found, place, "internal" if self.internal else "shareable")
            console.note(f"Report: {place}" + (" (names training records; do not pass it on)" if self.internal else ""))
            if self.exports:
                from leaq.reporting.exports import write_exports

                console.note("Exports: {}, {}".format(*write_exports(found, place, internal=self.internal)))
        if self.card is not None:
            from leaq.reporting.card import write_cards

            console.note(f"Card: {write_cards(found, self.card)}")
        if self.open_ and place is not None:
            typer.launch(str(place.resolve()))


class FormOptions(Config):
    """What goes into a form beside the numbers, and who signs it."""

    model_config: ClassVar[ConfigDict] = ConfigDict(title="The form of a regulator or output checker")

    profile: str | None = None
    """Write a form: edpb or cnil (is the model anonymous?), tre (output check); HTML, and beside it JSON that leaq
    verify checks and YAML for a model card's metadata."""
    quantizer: str = ""
    """What is released; by default what leaq decide names."""
    max_leak: float | None = None
    """Your threshold for the advantage of any attack, at its upper end."""
    reason: str = ""
    """Why this threshold."""
    auditor: str = ""
    """Who answers for the form."""
    artefact: Path | None = None
    """The file that will be released; its hash goes in."""
    sign: Path | None = None
    """Private key (Ed25519, PEM) to sign with; leaq verify checks."""

    def check(self) -> None:
        """Refuse answers without a form that they belong to."""
        if self.profile is None:
            given = [f"--{name.replace('_', '-')}" for name in self.asked()]
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
