"""The command ``leaq``: verbs, exit codes, and what an error looks like.

Exit codes: 0 done; 1 a gate was not passed, cells of a study failed, a file of a run folder is damaged, or doctor found
something that has to be done; 2 wrong input, with one message that says what to do; 130 interrupted. docs/commands.md
says the same.

Verbs of version 0.1 are rewritten into what does their work now, and say so; they go in version 0.3.
"""

from collections.abc import Callable, Mapping, Sequence
from inspect import cleandoc
from typing import Annotated, Any

import typer

from leaq.cli import audit, console, decide, listing, protect, show, verify
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
    "Keep safe": (verify.verify_command, verify.clean_command),
    "Look up": (listing.list_command, listing.get_command, listing.doctor_command),
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


Words = list[str]
SWITCHES = ("--exports", "--internal", "--open", "--json")
"""Options of ``leaq report`` that take no value."""


def _renamed(words: Sequence[str], **names: str) -> Words:
    return [names.get(word.lstrip("-").replace("-", "_"), word) if word.startswith("--") else word for word in words]


def _unless(words: Sequence[str], **defaults: str) -> Words:
    """Return the words, and options with a former default where they are not among them."""
    more = [(f"--{name}", value) for name, value in defaults.items() if f"--{name}" not in words]
    return [*words, *(part for pair in more for part in pair)]


def _report(words: Words) -> Words:
    """Return ``RUN [PAGE] options`` with the page, by default in the run folder, as an option."""
    places, rest, following = [], [], False
    for word in words:
        if following or word.startswith("-"):
            rest.append(word)
            following = word.startswith("--") and "=" not in word and word not in SWITCHES
        else:
            places.append(word)
    run, *page = places or [""]
    own = page or ([] if "--profile" in rest or not run else [f"{run.rstrip('/')}/report.html"])
    return [*([run] if run else []), *(("--report", own[0]) if own else ()), *rest]


def _lambda(words: Words) -> Words:
    return ["audit", *_unless(words, quantizers="study", replicates="8", attacks="threshold"), "--lambda"]


FORMER: Mapping[str, Callable[[Words], Words]] = {
    "attack": lambda words: ["audit", *_unless(words, shadows="16", attacks="all"), "--every-attack"],
    "forecast": lambda words: [
        "audit", *_unless(words, attacks="threshold", checkpoints="1"), "--effort", "forecast"
    ],
    "lambda": _lambda,
    "run": lambda words: ["audit", *_renamed(words, workers="--jobs")],
    "audit-model": lambda words: [
        "audit", *(part for word in words for part in (("--overlap", "keep") if word == "--keep-overlap" else (word,)))
    ],
    "report": lambda words: ["show", *_report(words)],
    "recommend": lambda words: ["decide", *words],
    "gate": lambda words: ["decide", *_renamed(words, all="--reasons"), "--all"],
    "quantize": lambda words: ["protect", *words],
    "quantizers": lambda words: ["list", "quantizers", *words],
    "attacks": lambda words: ["list", "attacks", *words],
    "embedders": lambda words: ["list", "embedders", *words],
    "datasets": lambda words: words if words[:1] == ["get"] else ["list", "datasets", *words],
}  # fmt: skip
"""By former name: the words of today's command from those that followed it."""


def today(words: Words) -> tuple[Words, str]:
    """Return the words of today's command, and what to say if they were others: where the function went.

    Examples
    --------
    >>> today(["report", "runs/x", "x.html", "--card", "x.md"])
    (['show', 'runs/x', '--report', 'x.html', '--card', 'x.md'], 'leaq report is leaq show now')
    >>> today(["show", "runs/x"])
    (['show', 'runs/x'], '')
    """
    if not words or words[0] not in FORMER:
        return words, ""
    found = FORMER[words[0]](words[1:])
    said = {
        "attack": "audit --attacks all --every-attack",
        "forecast": "audit --effort forecast",
        "lambda": "audit, then leaq show RUN --lambda,",
        "gate": "decide --all",
        "quantize": "protect FILE --with",
    }.get(words[0], " ".join(found[: 2 if found[0] == "list" else 1]))
    return found, f"leaq {words[0]} is leaq {said} now"
