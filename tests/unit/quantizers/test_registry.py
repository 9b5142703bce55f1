"""Names, families and the sentences about each quantizer."""

import pytest

from leaq.errors import InvalidInput, UnknownName
from leaq.quantizers import QUANTIZERS, build, families, parse_list, registry


def test_every_example_builds_under_its_name():
    for name in QUANTIZERS:
        examples = QUANTIZERS.get(name).examples
        assert examples, f"{name} shows no example"
        for spec in examples:
            assert build(spec).name == name
            assert build(spec).spec() == spec


def test_study_family_is_the_source_studys():
    labels = [scheme.label() for scheme in parse_list("study")]
    sparse = [f"ternary {share}% sparse" for share in (33, 50, 75, 90)]
    assert labels == ["sign", *sparse, *(f"{bits}-bit per channel" for bits in (2, 3, 4))]


def test_all_holds_the_other_families_and_every_own_quantizer(monkeypatch):
    monkeypatch.setattr(registry, "installed", lambda _: True)
    found = families()
    assert set(found["study"]) | set(found["shipped"]) <= set(found["all"])
    named = {build(spec).name for spec in found["all"]}
    assert named == set(QUANTIZERS) - {"none"}


def test_families_leave_out_libraries_that_are_not_installed(monkeypatch):
    monkeypatch.setattr(registry, "installed", lambda extra: extra is None)
    left = [spec for specs in families().values() for spec in specs]
    assert left
    assert not [spec for spec in left if build(spec).needs.extra is not None]


def test_labels_and_specs_are_unique_in_all():
    built = parse_list("all")
    assert len({scheme.label() for scheme in built}) == len(built)
    assert len({scheme.spec() for scheme in built}) == len(built)


def test_list_mixes_families_and_specs_once():
    assert [scheme.spec() for scheme in parse_list("study,sign")] == [scheme.spec() for scheme in parse_list("study")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must name at least one"),
        ("shiped", "Unknown quantizer 'shiped'. Did you mean 'shipped'"),
        ("int16", "Unknown quantizer 'int16'. Did you mean 'int"),
        ("nf5", "Did you mean 'nf4'"),
        ("uniform", "option 'bits' is required"),
        ("uniform(bits=4, bit=3)", "unknown option 'bit'. Did you mean 'bits'"),
        ("dithered(bits=4, scale=mse)", "dithered levels are symmetric and span max|w|"),
        ("sign(last=int4)", "last: Input should be 'same', 'int8' or 'full'"),
        ("bias_correction(bits=4, bias=full)", "bias: Input should be 'corrected'"),
        ("torchao.int8_weight_only(bits=4)", "bits: Input should be 8"),
    ],
)
def test_wrong_specifications_are_explained(text, message):
    with pytest.raises((InvalidInput, UnknownName), match=message.replace("|", r"\|")):
        parse_list(text)
