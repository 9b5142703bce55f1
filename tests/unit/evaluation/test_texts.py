"""The loss of a text is what the model itself says of it, whatever stands beside it in a batch."""

import numpy as np
import pytest
import torch

from leaq.data import load
from leaq.evaluation.loss_table import loss_table
from leaq.evaluation.texts import LanguageModel
from leaq.models import checkpoints_of
from tests.helpers import require
from tests.unit.pipeline.subjects.test_language import small


@pytest.mark.filterwarnings("ignore")
def test_losses_are_those_of_transformers_and_scores_their_log_odds():
    require("transformers")
    model, tokenizer = small(0)
    texts = ["1 2 3", ("4 5 6", " 7 8"), "9 10 11 12 13 14 15"]
    samples = load([*texts, *texts])
    own = LanguageModel(model.eval(), tokenizer, tuple(samples.inputs))
    weights = checkpoints_of(model).at((slice(None), None))
    table = loss_table(own, weights, samples, np.arange(6)[None] < 3, whitebox=True, numbers=True)
    for row, text in enumerate(texts):
        whole = text if isinstance(text, str) else "".join(text)
        ids = torch.tensor([tokenizer(whole)["input_ids"]])
        labels = ids.clone()
        if not isinstance(text, str):
            labels[:, :3] = -100  # the prompt is not scored
        with torch.no_grad():
            wanted = float(model(ids, labels=labels).loss)
        assert table.losses[0, 0, row] == pytest.approx(wanted, rel=1e-5)
        share = np.exp(-wanted)
        assert table.scores[0, row] == pytest.approx(np.log(share / (1 - share)), rel=1e-4)
    assert table.groups.tolist() == [0, 1, 2, 0, 1, 2]
    assert table.whitebox is None
    assert "scales" in table.numbers
    long = [*samples.inputs, " ".join(["1"] * 40)]
    flags = LanguageModel(model, tokenizer, tuple(long)).flags
    assert "1 of 7 texts are longer than the model's 16 tokens" in flags[0].text
