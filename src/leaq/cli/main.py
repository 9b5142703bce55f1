"""The command ``leaq``: verbs, exit codes, and what an error looks like.

Exit codes: 0 done; 1 a gate was not passed, cells of a study failed, a file of a run folder is damaged, or doctor found
something that has to be done; 2 wrong input, with one message that says what to do; 130 interrupted. docs/commands.md
says the same.
"""

from inspect import cleandoc
from typing import Annotated, Any

import typer

from leaq.cli import audit, clean, console, decide, doctor, listing, protect, show, verify
from leaq.cli.former import today
from leaq.errors import LeaqError, out_of_memory


class Verbs(typer.core.TyperGroup):
    """Turns refusals into one clear message and exit code 2; anything else is a bug and keeps its traceback."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read a former verb as what does its work now, and say so."""
        words, said = today(args)
        if said:
            console.note(f"{said}; this name goes in version 0.3.")
        return super().parse_args(ctx, words)

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command."""
        try:
            return super().invoke(ctx)
        except LeaqError as err:
            console.fail(" ".join([str(err), *getattr(err, "__notes__", ())]))
            raise typer.Exit(2) from None
        except OSError as err:  # of a name that was given: too long, on a device that fails
            if err.filename is None:
                raise
            console.fail(f"{str(err.filename)!r} cannot be used ({err.strerror}). Name another file or folder.")
            raise typer.Exit(2) from None
        except (MemoryError, RuntimeError) as err:
            if not out_of_memory(err):
                raise
            console.fail(
                "There is too little memory for this. Take fewer records, models (--replicates) or checkpoints, "
                "or a machine with more. What was finished in --out is kept."
            )
            raise typer.Exit(2) from None


app = typer.Typer(
    name="leaq",
    cls=Verbs,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="How much does a quantized neural network give away about who was in its training data, which quantizer gives "
    "away least, and what does that cost in accuracy?",
    epilog="Start with: leaq audit breast_cancer. Is everything there? leaq doctor. Exit codes: 0 done; 1 a gate not "
    "passed, cells of a study failed, or doctor found something to do; 2 wrong input; 130 interrupted.",
)
PANELS = {
    "Audit": (audit.audit_command,),
    "Read and decide": (show.show_command, decide.decide_command, protect.protect_command),
    "Keep safe": (verify.verify_command, clean.clean_command),
    "Look up": (listing.list_command, listing.get_command, doctor.doctor_command),
}


def _text(doc: str | None) -> str:
    """Return a docstring with each paragraph on one line: the screen folds it, wherever it is narrow."""
    paragraphs = cleandoc(doc or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


for panel, verbs in PANELS.items():
    for verb in verbs:
        app.command(verb.__name__.removesuffix("_command"), help=_text(verb.__doc__), rich_help_panel=panel)(verb)


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        console.say(version("leaq"))
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Audit what quantized models give away about their training records."""


def main() -> None:
    """Run the command line."""
    app()
