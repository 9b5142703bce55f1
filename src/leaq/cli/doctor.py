"""``leaq doctor``: what is installed, what is missing, where data is looked for, and what to do."""

from typing import TYPE_CHECKING, Annotated

import typer

from leaq.cli import console

if TYPE_CHECKING:
    from leaq.system.doctor import Checkup, Package


def doctor_command(
    json: Annotated[bool, typer.Option("--json", help="Print everything as JSON and nothing else.")] = False,
) -> None:
    """Say what is installed, which extras are missing and how to get them, where data is looked for, what to do next.

    Nothing is computed, downloaded or created. Exit code 1: something has to be done before leaq works.

    Examples:

        leaq doctor
    """
    from dataclasses import asdict

    from leaq.system.doctor import check

    found = check()
    if json:
        console.say_json({"ok": found.ok, **asdict(found)})
    else:
        console.say("\n".join(_lines(found)))
    if not found.ok:
        raise typer.Exit(1)


def _lines(found: "Checkup") -> list[str]:
    lines = [f"leaq {found.version}, Python {found.python}, {found.platform}", "", "Needed"]
    lines += [f"  {_mark(package.ok)} {_named(package)}" for package in found.core]
    lines += ["", "Extras"]
    for extra in found.extras:
        lines.append(f"  {_mark(extra.ok)} {extra.name:<13} {extra.purpose}")
        lines += [f"       {_named(package)}" for package in extra.packages if not package.ok]
        lines += [] if extra.ok else [f"       {extra.install}"]
    limits = ", ".join(f"{name}={value or 'not set'}" for name, value in found.threads.items())
    lines += ["", "Machine", f"  cores: {found.cores} ({limits})", f"  GPU: {found.gpu}", "", "Folders"]
    for place in found.places:
        state = f", {place.state}" if place.path else ""
        held = f", {place.files} files" if place.files else ""
        lines.append(f"  {_mark(place.ok)} {place.what}: {place.path or place.state} ({place.variable}{state}{held})")
    lines += ["", "To do" if found.todo else "Nothing has to be done."]
    return [*lines, *(f"  {text}" for text in found.todo), *found.hints]


def _mark(ok: bool) -> str:
    return "ok" if ok else "no"


def _named(package: "Package") -> str:
    wanted = f" (needed: {package.wanted})" if package.wanted and not package.ok else ""
    return f"{package.name} {package.found or 'not installed'}{wanted}"
