"""The form of a regulator or output checker, written from a run folder."""

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import ConfigDict

from leaq.cli import console
from leaq.config import Config
from leaq.errors import InvalidInput

if TYPE_CHECKING:
    from leaq.study import Store


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
