"""Texts as records of a language model."""

import json

import pandas as pd
import pytest

from leaq.data import load
from leaq.data.texts import read_texts, texts_of
from leaq.errors import InvalidInput
from leaq.study.store import data_digest


@pytest.fixture
def texts(rng):
    return [" ".join(map(str, rng.integers(20, size=10))) for _ in range(30)]


def test_texts_come_in_many_forms_and_equal_ones_stay_together(texts, tmp_path):
    (tmp_path / "t.txt").write_text("\n".join(texts))
    forms = [texts, tmp_path / "t.txt", str(tmp_path / "t.txt"), pd.DataFrame({"text": texts})]
    assert {data_digest(load(form)) for form in forms} == {data_digest(load(texts))}
    assert data_digest(load(texts)) != data_digest(load(texts[::-1]))
    pairs = [{"prompt": text, "completion": " 1"} for text in texts]
    samples = load([*pairs, pairs[0]])
    assert samples.inputs[0] == (texts[0], " 1")
    assert samples.groups[0] == samples.groups[-1]
    assert any(flag.code == "duplicates" for flag in samples.flags)


def test_a_table_with_a_target_is_no_list_of_texts(tmp_path):
    lines = "text,x,y\n" + "\n".join(f"a{i},{(i * 7) % 30 + 0.5},{i * i % 5 % 2}" for i in range(30))
    (tmp_path / "t.txt").write_text(lines)
    samples = load(tmp_path / "t.txt", target="y", ignore=("text",))
    assert (samples.kind, samples.inputs.shape) == ("table", (30, 1))


SAID = [{"role": "user", "content": "a"}]


@pytest.mark.parametrize(("row", "way"), [
    ({"question": "a", "answer": "b"}, 'name the texts "text", or'),
    ({"messages": SAID}, "conversations are read as texts: tokenizer.apply_chat_template"),
    ({"prompt": SAID, "completion": SAID}, "conversations are read as texts"),
    ({"prompt": "a", "completion": None}, "its prompt or its answer is no text"),
    ({"prompt": "a", "answer": float("nan")}, "its prompt or its answer is no text"),
])  # fmt: skip
def test_rows_that_are_no_texts_are_told_which_are_read(row, way, tmp_path):
    with pytest.raises(InvalidInput, match=f"with a dict at position 0 of {', '.join(row)} .{way}"):
        texts_of([row] * 3, None, "members")
    (tmp_path / "t.jsonl").write_text('{"text": "a"}\n' + json.dumps(row))
    with pytest.raises(InvalidInput, match=f"Found another of {', '.join(row)} .{way}.*, in record 2"):
        read_texts(tmp_path / "t.jsonl")
    if "conversations" in way:
        (tmp_path / "c.jsonl").write_text("\n".join([json.dumps(row)] * 3))
        for source in ([row] * 3, pd.DataFrame([row] * 3), tmp_path / "c.jsonl"):
            with pytest.raises(InvalidInput, match=way):
                load(source)
