"""Verbs of version 0.1: each is rewritten into what does its work now, and says so; they go in version 0.3."""

from collections.abc import Callable, Mapping, Sequence

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
