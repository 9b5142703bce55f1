import subprocess
import sys
import uuid
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaq.config import Config, Registry, parse_spec
from leaq.errors import InvalidInput, UnknownName


class Mixing(Config):
    speed: int = 3
    mode: Literal["fast", "slow"] = "fast"
    parts: tuple[float, ...] = (1.0,)


def test_every_problem_is_reported_at_once():
    with pytest.raises(InvalidInput) as caught:
        Mixing(speed="x", mode="medium", sped=2)
    text = str(caught.value)
    assert "unknown option 'sped'. Did you mean 'speed'?" in text
    assert "speed: " in text
    assert "(found 'x')" in text
    assert "mode: " in text


def test_a_value_that_fills_a_screen_is_named_by_its_type():
    """A column given in place of its name was printed row by row."""
    with pytest.raises(InvalidInput, match=r"\(found a ndarray\)") as caught:
        Mixing(mode=np.arange(500))
    assert len(str(caught.value)) < 200


def test_frozen_and_hashable():
    config = Mixing()
    with pytest.raises(Exception, match="frozen"):
        config.speed = 4
    assert hash(config) == hash(Mixing())


@given(st.integers(-10, 10), st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=3))
def test_round_trip_through_a_dictionary(speed, parts):
    config = Mixing(speed=speed, parts=tuple(parts))
    again = Mixing.from_dict(config.to_dict())
    assert again == config
    assert again.digest() == config.digest()


def test_digest_differs_with_any_option_and_with_the_class():
    class Other(Mixing):
        pass

    assert len({Mixing().digest(), Mixing(speed=4).digest(), Mixing(mode="slow").digest(), Other().digest()}) == 4


def test_an_option_that_is_added_leaves_the_digest_of_what_does_not_ask_for_it():
    class Inner(Config):
        rate: float = 0.1

    class InnerLater(Config):
        rate: float = 0.1
        decay: float = 0.0

    class Outer(Config):
        inner: Inner = Inner()
        seed: int = 0

    class OuterLater(Config):
        inner: InnerLater = InnerLater()
        seed: int = 0
        colour: str = "red"

    OuterLater.__name__ = "Outer"
    for options in ({}, {"seed": 3}, {"inner": {"rate": 0.2}, "seed": 3}):
        assert OuterLater(**options).digest() == Outer(**options).digest()
    others = {OuterLater(colour="blue"), OuterLater(inner={"decay": 0.5}), OuterLater(seed=1), OuterLater()}
    assert len({one.digest() for one in others}) == 4


def test_digest_is_the_same_in_another_process():
    code = "from leaq.training import TrainingConfig; print(TrainingConfig(epochs=7).digest())"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    from leaq.training import TrainingConfig

    assert printed == TrainingConfig(epochs=7).digest()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sign", ("sign", {})),
        (" uniform( bits = 4 ) ", ("uniform", {"bits": 4})),
        ("uniform(per=channel, symmetric=false)", ("uniform", {"per": "channel", "symmetric": False})),
        ("x(a=None, b='two', c=[1, 2])", ("x", {"a": None, "b": "two", "c": [1, 2]})),
        ("torchao.int8", ("torchao.int8", {})),
    ],
)
def test_specifications_are_read(text, expected):
    assert parse_spec(text) == expected


@pytest.mark.parametrize("text", ["", "a b", "uniform(4)", "f(x=__import__('os'))", "f(**{})", "1 + 1", "f()()"])
def test_what_is_no_specification_is_refused(text):
    with pytest.raises(InvalidInput, match="must read name or name"):
        parse_spec(text)


def test_registry_refuses_a_taken_name_and_wrong_options():
    shapes = Registry[int]("shape")
    shapes.add("square")(lambda side=1: side)
    with pytest.raises(InvalidInput, match="'square' is already registered"):
        shapes.add("square")(lambda: 0)
    with pytest.raises(InvalidInput, match="unexpected keyword argument 'height'"):
        shapes.build("square(height=2)")
    with pytest.raises(UnknownName, match="Unknown shape 'circle'. Known: square"):
        shapes.build("circle")


@pytest.mark.parametrize(
    "text",
    ["uniform(bits={[]: 1})", "(" * 3000, "-" * 9000 + "1", "[" * 500 + "]" * 500, "a\0b", "a" * 10**6, "x(y=1 is 1)",
     "uniform(bits=" + "9" * 5000 + ")"],
    ids=lambda text: text[:12],
)  # fmt: skip
def test_text_that_no_parser_takes_is_refused_in_words(text):
    with pytest.raises(InvalidInput, match="must read name or name"):
        parse_spec(text)


def test_an_option_may_be_called_self():
    with pytest.raises(InvalidInput, match="unknown option 'self'"):
        Config.from_dict({"self": 1})


PIECE = """
from typing import ClassVar
from leaq.config import Named

class {title}(Named):
    name: ClassVar[str] = "{name}"
    place: ClassVar[int] = {place}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A package that no other test has, and a writer of its files."""
    name = f"pieces_{uuid.uuid4().hex}"
    (tmp_path / name).mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(file: str, text: str) -> str:
        (tmp_path / name / file).write_text(text)
        return name

    write("__init__.py", "")
    yield write
    for module in [one for one in sys.modules if one.partition(".")[0] == name]:
        del sys.modules[module]


def test_a_registry_finds_what_a_file_of_its_folder_defines(folder):
    folder(
        "late.py", PIECE.format(title="Zebra", name="zebra", place=0) + PIECE.format(title="Ape", name="ape", place=1)
    )
    folder("shared.py", "from leaq.config import Named\nclass Shared(Named):\n    pass\n")
    name = folder("early.py", "from .shared import Shared\n" + PIECE.format(title="Emu", name="emu", place=0))
    (Path(sys.path[0]) / name / "within").mkdir()
    folder("within/__init__.py", "raise RuntimeError('not looked into')\n")
    assert list(Registry("animal", name)) == ["emu", "zebra", "ape"]
    assert Registry("animal", name).build("emu").spec() == "emu"
    with pytest.raises(UnknownName, match=r"Unknown animal 'zebar'. Did you mean 'zebra'"):
        Registry("animal", name).build("zebar")


def test_a_name_is_taken_once_in_all_files(folder):
    folder("one.py", PIECE.format(title="One", name="emu", place=0))
    name = folder("two.py", PIECE.format(title="Two", name="emu", place=0))
    with pytest.raises(InvalidInput, match="The animal name 'emu' is already registered"):
        list(Registry("animal", name))


def test_long_specifications_are_read():
    others = "; ".join(f"{i}.weight=full" for i in range(100))
    assert parse_spec(f"gguf(type=Q4_0, others='{others}')")[1]["others"] == others
