"""Which quantizers may have made weights, by the form they are stored in."""

import re
from collections.abc import Callable, Iterator, Mapping

from leaq.errors import LeaqError, installed
from leaq.quantizers.backends.base import Backend, InOwnType
from leaq.quantizers.registry import build
from leaq.quantizers.scheme import Scheme

WITH_ZEROS = " with zero points"
TOLD = frozenset(
    {"GGUF", "OpenVINO", "compressed-tensors", "int8", "torchao", "torch.ao", "bitsandbytes", "quanto", "leaq"}
)
"""Producers whose files say wholly what their weights went through: the first quantizer of such a form."""
HALVES = ("float16", "bfloat16")


def named_by(form: str) -> str:
    """Return the quantizer that a form is by its own words; empty where they leave it open."""
    first = next(_candidates(form), "")
    if form.partition(" ")[0] not in TOLD and not first.startswith("onnxruntime"):
        return ""
    try:
        return build(first).spec()
    except LeaqError:  # a form that is not encoded here
        return ""


def schemes_of(form: str) -> Iterator[Scheme]:
    """Yield the quantizers that may have made weights of a form, as far as they run here.

    Libraries come again for weights that were rounded to 16 bits before, and for models in 16 bits.
    """
    halves = list[Scheme]()
    for spec in _candidates(form):
        try:
            scheme = build(spec)
        except LeaqError:  # a form that is not encoded here
            continue
        if installed(scheme.needs.extra):
            yield scheme
            if isinstance(scheme, Backend):
                ways = ("through", *["within"] * isinstance(scheme, InOwnType))
                halves += [scheme.model_copy(update={way: half}) for way in ways for half in HALVES]
    yield from halves


def _candidates(form: str) -> Iterator[str]:
    """Yield the specifications that may have made weights of a form, the commonest first."""
    family, _, rest = form.partition(" ")
    if (maker := _MAKERS.get(family if form else "")) is not None:
        yield from maker(rest)


def _compressed(rest: str) -> Iterator[str]:
    if rest in ("NVFP4", "MXFP4"):
        yield f"compressed_tensors.float(format={rest.lower()})"
        return
    bits, _, more = rest.partition("-bit")
    where = f"group={found[1]}" if (found := re.search(r"groups of (\d+)", more)) else "per=channel"
    yield f"compressed_tensors(bits={bits}, {where}{', symmetric=False' * more.endswith(WITH_ZEROS)})"
    yield from _words(rest)  # AutoRound writes this layout, too


def _words(rest: str) -> Iterator[str]:
    """GPTQ and AWQ layouts: rounded to nearest. What looked at records cannot be done again without them."""
    bits, _, more = rest.partition("-bit")
    group = found[1] if (found := re.search(r"groups of (\d+)", more)) else 0
    yield from (f"auto_round(bits={bits}, group={group}{zero}" for zero in (")", ", symmetric=False)"))


def _onnx(rest: str) -> Iterator[str]:
    bits, blocks, size = rest.partition("-bit blocks of ")
    if blocks:
        zero = ", symmetric=False" * size.endswith(WITH_ZEROS)
        yield f"onnxruntime.nbits(bits={bits}, block={size.removesuffix(WITH_ZEROS)}{zero})"
        return
    kind, _, more = rest.replace(",", "").partition(" ")
    options = ["per=tensor" if more.endswith("per tensor") else "per=channel"]
    if WITH_ZEROS in rest or "symmetric" in more:
        options.append(f"symmetric={'symmetric' in more}")
    if not kind.endswith("16") and (kind != "int8" or len(options) > 1 or "half" in more):
        yield f"onnxruntime.quantize(type={kind}, {', '.join(options)}, half={'half' in more})"
    yield from _integers(kind)


def _integers(rest: str) -> Iterator[str]:
    """Codes in programs: of ONNX, OpenVINO, LiteRT and PT2E."""
    bits = "4" if rest.endswith("int4") else "8"
    yield from (f"uniform(bits={bits}, per=tensor)", f"uniform(bits={bits})")
    for more in ("", ", symmetric=False"):
        yield from (f"compressed_tensors(bits={bits}, per={per}{more})" for per in ("tensor", "channel"))


def _openvino(rest: str) -> Iterator[str]:
    if "smoothed" in rest or rest.endswith(WITH_ZEROS):  # by factors that follow from records; or fractions of codes
        return
    if "levels" in rest:
        options = ["half=True"] * ("half" in rest) + ["per=tensor"] * rest.endswith("per tensor")
        yield f"nncf.quantize({', '.join(options)})"
        yield from _integers("int8")
        return
    kind, _, group = rest.partition(" in groups of ")
    bits = kind.rpartition("int")[2]
    per = f", per=group, group={group}" if group else ", per=channel"
    if not bits.isdigit():
        kind, _, by = kind.partition(" scaled by ")
        if by in ("", "f8e8m0"):  # not two scales, as of NVFP4
            yield f"nncf.float(format={kind}{per}{', powers=True' * bool(by)})"
        return
    zero = ", symmetric=False" if kind.startswith("u") and int(bits) > 3 else ""  # fewer are symmetric, and stored so
    yield f"nncf(bits={bits}{per}{zero})"
    yield from _integers(rest)


def _bitsandbytes(rest: str) -> Iterator[str]:
    kind, _, nested = rest.partition(" ")
    name = {"NF4": "bitsandbytes.nf4", "FP4": "bitsandbytes.fp4"}.get(kind, "bitsandbytes.int8")
    yield f"{name}(nested=True)" if nested else name


def _torchao(rest: str) -> Iterator[str]:
    if rest.startswith("float8"):
        yield f"torchao.float8_weight_only(format={'e5m2' if 'e5m2' in rest else 'e4m3'})"
        return
    kind, _, group = rest.removesuffix(WITH_ZEROS).partition(" in groups of ")
    per = f", per=group, group={group}" if group else ""
    zero = ", symmetric=False" * rest.endswith(WITH_ZEROS)
    if rest == "int8":
        yield "torchao.int8_weight_only"
    yield f"torchao.intx_weight_only(bits={kind.removeprefix('int')}{per}{zero})"


def _int8(rest: str) -> Iterator[str]:
    zero = ", symmetric=False" * rest.endswith(WITH_ZEROS[1:])
    yield f"compressed_tensors(bits=8, per={'tensor' if 'per tensor' in rest else 'channel'}{zero})"


def _float8(rest: str) -> Iterator[str]:
    for per in (", per=tensor",) if "per tensor" in rest else ("", ", per=block"):
        yield f"compressed_tensors.float(format=fp8{per})"


_OF_QUANTO = re.compile(r"(?P<kind>[^ ]+)( in (?P<half>b?float16))?( in groups of (?P<group>\d+))?$")


def _quanto(rest: str) -> Iterator[str]:
    if (match := _OF_QUANTO.match(rest)) is None:
        return
    kind, half, group = match["kind"], match["half"], match["group"]
    bits, few, _ = kind.partition("-bit")
    float8 = "e5m2" if "e5m2" in kind else "e4m3"
    if half and few:
        yield f"quanto(type=qint{bits}, through={half}, {f'group={group}' if group else 'per=channel'})"
    elif half:
        yield f"quanto(type={'qint8' if kind == 'int8' else f'qfloat8_{float8}'}, through={half})"
    elif few:
        per = f", per=group, group={group}" if group else ""
        yield f"uniform(bits={bits}{per}, symmetric=False)"
    else:
        yield "uniform(bits=8)" if kind == "int8" else f"float8(format={float8})"


def _torch_ao(rest: str) -> Iterator[str]:
    bits, _, per = rest.rpartition("int")[2].partition(" per ")
    if rest.startswith("u"):
        yield f"torch.ao(bits={bits}, per={per}, symmetric=False)"
        return
    for least in ("", f", eps={2**-12}"):
        yield f"torch.ao(bits={bits}, per={per}{least})"
    yield f"uniform(bits={bits}, per={per})"


def _exported(rest: str) -> Iterator[str]:
    yield from _torchao(rest)
    for per in ("channel", "tensor"):
        yield from _torch_ao(f"{rest} per {per}")
    yield from _integers(rest)


_MAKERS: Mapping[str, Callable[[str], Iterator[str]]] = {
    "": lambda _: iter(HALVES),
    "leaq": lambda spec: iter((spec,)),
    "GGUF": lambda kind: iter((f"gguf(type={kind})",)),
    "compressed-tensors": _compressed,
    "GPTQ": _words,
    "AWQ": _words,
    "ONNX": _onnx,
    "OpenVINO": _openvino,
    "LiteRT": _integers,
    "PT2E": _exported,
    "bitsandbytes": _bitsandbytes,
    "torchao": _torchao,
    "torch.ao": _torch_ao,
    "quanto": _quanto,
    "int8": _int8,
    "float8_e4m3fn": _float8,
}
"""What may have made weights of a form, by its first word."""
