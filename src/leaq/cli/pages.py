"""The files that a result is written into: page, card and exports; the same options wherever results are shown."""

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
        if self.card is not None:
            from leaq.system.files import writable_place

            writable_place(self.card)

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
