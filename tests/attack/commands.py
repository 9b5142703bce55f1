"""Odd command lines: every verb with odd arguments, on what is there and on what is not."""

import contextlib
import io
import os
import shutil
from pathlib import Path
from typing import Any

from typer.main import get_command

from leaq.cli.main import app
from leaq.errors import InvalidInput
from tests.attack.inputs import BITS, Rng, mangled_text, whole
from tests.attack.storage import finished

QUICK = ["--replicates", "4", "--epochs", "1", "--hidden", "4", "--quantizers", "sign", "--attacks", "threshold"]
"""What keeps an audit that is not refused below a second."""
AWAY = {"get", "doctor", "protect"}
"""Verbs that fetch, look at the machine, or train for minutes: only odd names and help are tried with them."""
VALUES = (
    "1", "0", "-1", "1e9", "nan", "inf", "0.5", "9" * 30, "wine", "m.csv", "run", "run/config.json", "missing", ".",
    "/dev/null", "m.npz", "m.safetensors", "a" * 300, "a/" * 200, "", " ", "--", "-x", "y", "sign", "lira", "auto",
    *BITS,
)  # fmt: skip


def known() -> Any:
    """The command line, with its verbs."""
    return get_command(app)


def ended(words: list[str], folder: Path) -> tuple[object, str]:
    """Give the command line these words in a folder, and return its exit code and all that it said."""
    here, out = Path.cwd(), io.StringIO()
    os.environ["LEAQ_RUNS_DIR"] = "off"
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            known().main(args=words, standalone_mode=True)
    except SystemExit as err:
        return err.code, out.getvalue()
    finally:
        os.chdir(here)
        del os.environ["LEAQ_RUNS_DIR"]
    return 0, out.getvalue()


def commands(rng: Rng, folder: Path) -> None:
    """One command with a few odd words: it ends with an exit code and says why, and leaves what is there alone."""
    shutil.copytree(finished(), folder / "run")
    for kind in ("csv", "npz", "safetensors"):
        (folder / f"m.{kind}").write_bytes(whole(kind))
    before = {path: path.read_bytes() for path in (folder / "m.csv", folder / "m.npz", folder / "run" / "config.json")}
    verbs = known().commands
    name = str(rng.choice(sorted(verbs)))
    options = [one.opts[0] for one in verbs[name].params if one.opts[0].startswith("--")]
    first = {"audit": ["m.csv", "--target", "y", *QUICK], "list": []}.get(name, ["run"])
    words = [name, *(["nothing"] if name in AWAY else first)]
    for _ in range(int(rng.integers(1, 4))):
        value = str(rng.choice(VALUES))
        value = mangled_text(rng, value) if value and rng.random() < 0.2 else value
        more = [str(rng.choice(options)), value] if rng.random() < 0.7 else [value]
        at = int(rng.integers(1, len(words) + 1))
        words[at:at] = [word for word in more if word not in ("--open", "--jobs", "--engine", "--track")]
    code, text = ended(words, folder)
    assert code in (None, 0, 1, 2), f"{words} ended with {code}"
    assert "Traceback" not in text, f"{words} wrote a traceback"
    for path, content in before.items():
        assert name == "clean" or path.read_bytes() == content, f"{words} changed {path.name}"
    if code == 2:
        assert "rror" in text, f"{words} does not say why"
        raise InvalidInput("refused")
