import pandas as pd
import pytest

from leaq.data.loading import load


@pytest.fixture
def assay(rng):
    return pd.DataFrame({"smiles": ["C" * n + end for end in "ON" for n in range(1, 21)], "y": rng.normal(size=40)})


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        ("relation", ["=", ">", "=", "<"], "20 of 40 values are bounds by column 'relation' (<, >)"),
        ("qualifier", ["'='", "'>='"], "20 of 40 values are bounds"),
        ("Standard Units", ["nM", "uM"], "names several units (nM, uM)"),
    ],
)
def test_what_stands_beside_the_values_is_said(assay, column, values, said):
    found = load(assay.assign(**{column: values * (40 // len(values))}), target="y", smiles="smiles")
    assert said in next(flag.text for flag in found.flags if flag.code in ("bounds", "mixed-units"))


@pytest.mark.parametrize(("column", "values"), [("relation", ["="]), ("units", ["nM"]), ("kind", ["<a", ">b"])])
def test_what_says_nothing_of_them_is_not(assay, column, values):
    found = load(assay.assign(**{column: values * (40 // len(values))}), target="y", smiles="smiles")
    assert not {"bounds", "mixed-units"} & {flag.code for flag in found.flags}
