"""``leaq audit-model``: the former name of ``leaq audit`` with a finished model."""

import typer

from leaq.cli import console

__all__ = ["audit_model"]

FORMER = {"--keep-overlap": ["--overlap", "keep"]}


def audit_model(ctx: typer.Context) -> None:
    """Audit a finished model: leaq audit MODEL --members FILE --nonmembers FILE; this name goes in version 0.3."""
    from leaq.cli.main import app

    words = [word for given in ctx.args for word in FORMER.get(given, [given])]
    console.note("leaq audit-model is leaq audit now; this name goes in version 0.3.")
    app(["audit", *words], standalone_mode=False)
