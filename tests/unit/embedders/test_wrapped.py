import numpy as np
import pytest
import torch

from leaq.data import from_arrays
from leaq.embedders import FromModule, FromSklearn, embed
from leaq.errors import InvalidInput
from leaq.types import Samples


@pytest.fixture
def samples(rng):
    return from_arrays(rng.normal(size=(30, 3)), np.arange(30) / 7)


def test_a_transformer_of_smiles_gets_a_list():
    class Lengths:
        def transform(self, smiles):
            assert isinstance(smiles, list)
            return [[len(text)] for text in smiles]

    inputs = np.array(["C" * (i + 1) for i in range(24)])
    molecules = Samples(inputs=inputs, targets=np.arange(24) / 7, task="regression")
    assert embed(molecules, FromSklearn(Lengths())).inputs[:3, 0].tolist() == [1, 2, 3]


def test_a_sparse_result_becomes_dense(samples):
    from scipy.sparse import csr_array

    class Sparse:
        def transform(self, x):
            return csr_array(x > 0)

    np.testing.assert_array_equal(embed(samples, FromSklearn(Sparse())).inputs, samples.inputs > 0)


def test_what_cannot_transform_is_refused():
    with pytest.raises(InvalidInput, match="needs an object with transform"):
        FromSklearn(object())


def test_a_module_is_used_in_evaluation_mode_and_left_as_it_was(samples):
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Dropout(0.9), torch.nn.BatchNorm1d(4))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    found = embed(samples, FromModule(module, batch=7)).inputs
    assert found.shape == (30, 4)
    assert module.training
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    with torch.no_grad():
        expected = module.eval()(torch.tensor(samples.inputs, dtype=torch.float32))
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5, atol=1e-6)


def test_a_module_needs_numbers():
    molecules = Samples(inputs=np.array(["C"] * 3), targets=np.arange(3.0), task="regression")
    with pytest.raises(InvalidInput, match="FromModule needs numbers"):
        FromModule(torch.nn.Identity()).transform(molecules)
