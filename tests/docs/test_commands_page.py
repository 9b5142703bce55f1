"""docs/commands.md names every command and every environment variable the code reads."""

import re
from pathlib import Path

from typer.main import get_command

from leaq.cli.main import FORMER, app

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "commands.md").read_text()


def test_every_command_is_on_the_page():
    missing = [name for name in shown() if f"`leaq {name}" not in PAGE]
    assert missing == []
    assert {name for name in FORMER if f"`{name} " not in PAGE and f"`{name}`" not in PAGE} == set()


def shown():
    """The verbs that the help lists."""
    return [name for name, command in get_command(app).commands.items() if not command.hidden]


def test_verbs_are_few():
    assert len(shown()) == 9


def test_every_command_on_the_page_exists():
    known = get_command(app).commands
    assert {name for name in re.findall(r"`leaq ([a-z][a-z-]*)", PAGE) if name not in known} <= {"COMMAND"}


def test_every_variable_of_leaq_is_on_the_page():
    source = "".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    read = set(re.findall(r'"(LEAQ_[A-Z_]+)"', source))
    assert read >= {"LEAQ_DATA_DIR", "LEAQ_CACHE"}
    assert {name for name in read if f"`{name}`" not in PAGE} == set()


def test_exit_codes_are_on_the_page_and_in_the_help():
    for code in (0, 1, 2, 130):
        assert re.search(rf"^\| {code} \| [`\w]+", PAGE, re.MULTILINE)
        assert re.search(rf"\b{code} \w+", app.info.epilog.split("Exit codes:")[1])
