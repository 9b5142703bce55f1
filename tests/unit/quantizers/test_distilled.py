import numpy as np
import pytest
import torch
from torch import nn

from leaq.errors import UnsupportedModel
from leaq.models import checkpoints_of
from leaq.quantizers import Calibration, build
from tests.unit.quantizers.cases import far


def test_a_student_answers_like_the_model_and_shares_no_weight_with_it(trained):
    _, checkpoints, public = trained
    assert (far(trained, "distilled") < far(trained, "sign")).all()
    model = trained[0]
    released = checkpoints.last()
    student = build("distilled")(released, Calibration(model, public, source="public records"))
    for name, role in released.roles.items():
        if role != "scaler":
            assert not torch.equal(student.params[name], released.params[name])
    first = "layers.0.weight"
    pair = [one.params[first][0].ravel().numpy() for one in (released, student)]
    assert abs(np.corrcoef(*pair)[0, 1]) < 0.5


def test_a_student_of_a_normalised_model_is_refused():
    module = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.Linear(8, 1))
    records = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    with pytest.raises(UnsupportedModel, match=r"a student may take over nothing that was trained. Found 1\.weight"):
        build("distilled")(checkpoints_of(module), Calibration(module, records, source="public records"))


def test_a_student_learns_from_every_public_record_a_batch_a_step(trained):
    model, checkpoints, _ = trained
    rng = np.random.default_rng(0)
    records, wanted = rng.normal(size=(700, 12)), rng.normal(size=(2000, 12))
    seen = torch.tensor(wanted, dtype=torch.float32)
    released, most = checkpoints.last(), build("distilled").records
    apart = []
    for count in (40, 700):
        known = Calibration(model, records[:count], source="public records", most=most)
        assert known.rows.shape == (1, count)
        student = build("distilled(steps=300)")(released, known)
        gap = model.forward(student.params, seen) - model.forward(released.params, seen)
        apart.append(gap.square().mean((1, 2)))
    assert (apart[1] < 0.5 * apart[0]).all()
