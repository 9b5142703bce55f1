"""The readers and verbs again, by strategies that shrink what fails to the fewest edits and words."""

import contextlib
import tempfile
import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leaq.data.readers import read_frame
from leaq.errors import LeaqError
from leaq.models.weights import read_tensors
from tests.attack.commands import VALUES, ended, known
from tests.attack.inputs import whole
from tests.helpers import require

edits = st.lists(
    st.tuples(st.sampled_from(["cut", "flip", "put", "double"]), st.floats(0, 1), st.binary(min_size=1, max_size=20)),
    min_size=1, max_size=4,
)  # fmt: skip
QUICK = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))


def edited(content, changes):
    """Apply edits at their share of the length."""
    for way, share, more in changes:
        at = int(share * len(content))
        if way == "cut":
            content = content[:at]
        elif way == "flip":
            content = content[:at] + bytes(byte ^ more[0] for byte in content[at : at + 1]) + content[at + 1 :]
        elif way == "put":
            content = content[:at] + more + content[at:]
        else:
            content = content[:at] + content
    return content


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "npz", "parquet", "sdf", "safetensors"])
def test_every_reader_answers_edited_files_in_words(kind):
    for needed in {"parquet": ["pyarrow"], "sdf": ["rdkit"]}.get(kind, []):
        require(needed)

    @QUICK
    @given(edits)
    def read(changes):
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("error")
            path = Path(folder) / f"m.{kind}"
            path.write_bytes(edited(whole(kind), changes))
            with contextlib.suppress(LeaqError):
                (read_tensors if kind == "safetensors" else read_frame)(path)

    read()


@pytest.mark.parametrize("verb", sorted(known().commands))
def test_every_verb_answers_odd_words_in_words(verb):
    options = [one.opts[0] for one in known().commands[verb].params if one.opts[0].startswith("--")]
    words = st.lists(st.one_of(st.sampled_from(options), st.sampled_from(VALUES), st.text(max_size=8)), max_size=4)

    @QUICK
    @given(words)
    def answered(more):
        with tempfile.TemporaryDirectory() as folder:
            code, text = ended([verb, "nothing", *more], Path(folder))
            assert code in (None, 0, 1, 2)
            assert "Traceback" not in text

    answered()
