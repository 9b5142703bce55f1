import pytest
import torch

from leaq.errors import MissingExtra, UnsupportedModel
from leaq.quantizers import build
from leaq.quantizers.backends.base import Backend, LibraryOutput
from leaq.quantizers.backends.torchao import TorchaoInt8
from leaq.quantizers.scheme import Needs
from tests.helpers import require
from tests.unit.quantizers.backends.cases import one, released, weight_of


class StandIn(Backend):
    """Rounds to whole numbers; `off` is what its own dequantization adds to that."""

    name = "stand-in"
    off: float = 0.0

    @property
    def levels(self):
        return 9

    def library(self):
        return torch

    def run(self, weight):
        codes = (weight.round().clamp(-4, 4) + 4).to(torch.uint8)
        return LibraryOutput(codes, {"absmax": torch.ones(1)}, codes.float() - 4 + self.off)

    def decode(self, codes, scales):
        return codes.float() - 4

    def nearest(self, weight, scales):
        return (weight.round().clamp(-4, 4) + 4).to(torch.uint8)


WEIGHT = torch.linspace(-3.3, 3.4, 24).reshape(1, 3, 8)


def test_codes_that_give_the_librarys_weights_are_taken():
    assert StandIn().fit(WEIGHT)["codes"].shape == WEIGHT.shape


def test_a_library_whose_dequantization_is_not_what_its_codes_stand_for_is_refused():
    with pytest.raises(UnsupportedModel, match=r"must give its own dequantized weights. They differ by up to 0.25"):
        StandIn(off=0.25).fit(WEIGHT)


BACKENDS = [
    "torchao.int8_weight_only",
    "torchao.intx_weight_only(bits=3, symmetric=False)",
    "torchao.float8_weight_only(format=e4m3)",
    "bitsandbytes.nf4",
    "bitsandbytes.fp4",
    "bitsandbytes.int8",
    "bitsandbytes.blockwise8",
    "brevitas.int_weight(bits=4)",
]


@pytest.mark.parametrize("spec", BACKENDS)
def test_candidates_are_rounded_as_the_library_rounds(spec):
    """Our nearest codes under the library's scales agree with the library's own codes but for ties."""
    scheme = build(spec)
    require(str(scheme.needs.extra))
    weight = weight_of(6)[None]
    scales = scheme.fit(weight)
    assert (scheme.nearest(weight, scales) != scales["codes"]).float().mean() < 0.01
    moved = weight * 0.97
    ours = scheme.decode(scheme.encode(moved, scales), scales)
    wrong = scheme.decode(scheme.encode(-moved, scales), scales)
    distance = [float((values - moved).square().mean()) for values in (ours, wrong)]
    assert distance[0] < distance[1] / 100


class Pretends(TorchaoInt8):
    """A library that gives whatever it is told to."""

    def __init__(self, **options):
        super().__init__()
        object.__setattr__(self, "gives", options["gives"])

    def library(self):
        return torch

    def run(self, weight):
        return LibraryOutput(
            torch.zeros(weight.shape, dtype=torch.uint8), {"step": torch.ones(len(weight), 1)}, self.gives(weight)
        )


@pytest.mark.parametrize(
    ("gives", "found"),
    [
        (torch.zeros_like, "all zero"),
        (lambda w: torch.full_like(w, 0.3), "constant"),
        (torch.clone, "identical to the input"),
        (lambda w: w / 0, "not finite"),
    ],
)
def test_idle_libraries_are_refused(gives, found):
    with pytest.raises(UnsupportedModel, match=f"output is {found}"):
        Pretends(gives=gives)(one(weight_of(0, (2, 600))))


def test_codes_that_are_not_the_librarys_weights_are_refused():
    with pytest.raises(UnsupportedModel, match="codes and scales must give its own dequantized weights"):
        Pretends(gives=lambda w: w.round())(one(weight_of(0, (2, 600))))


def test_a_missing_library_names_its_extra(monkeypatch):
    scheme = build("bitsandbytes.nf4")
    monkeypatch.setattr(type(scheme), "wants", type(scheme.wants)(extra="leaq_not_installed"))
    with pytest.raises(MissingExtra, match=r"pip install 'leaq\[leaq_not_installed\]'"):
        released("bitsandbytes.nf4", weight_of())


def test_a_library_is_imported_without_compiling_itself_and_torch_compiles_again_afterwards(tmp_path, monkeypatch):
    compiling = torch.compile
    (tmp_path / "compiles_itself.py").write_text(
        "import torch\nplain = abs\nmade = torch.compile(plain)\n@torch.compile(dynamic=True)\ndef f(x): return x\n"
    )
    (tmp_path / "fails.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)

    def importing(name):
        monkeypatch.setattr(StandIn, "wants", Needs(extra=name))
        return Backend.library(StandIn())

    library = importing("compiles_itself")
    assert library.made is library.plain
    assert library.f(1) == 1
    assert torch.compile is compiling
    with pytest.raises(ZeroDivisionError):
        importing("fails")
    assert torch.compile is compiling
