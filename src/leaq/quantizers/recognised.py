"""Which quantizer made a shipped file: the one that gives its weights bit for bit from the original's.

Named in an audit that trains shadow models, it quantizes them as the file was: the adaptive attack on a shipped format.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from leaq.errors import LeaqError
from leaq.models import checkpoints_of
from leaq.models.roles import tensors_of
from leaq.quantizers import Scheme, build
from leaq.quantizers.backends import installed
from leaq.types import Checkpoints, Flag

__all__ = ["recipe_flag", "recipe_of"]

PLAIN = frozenset({"F32", "F16", "BF16", "F64"})
"""Forms of layers that a quantizer left alone, too small for it."""
GROUPS = (128, 32, 64)


def _candidates(form: str) -> Iterator[str]:
    """Yield the specifications that may have made weights of a form, the commonest first."""
    family, _, rest = form.partition(" ")
    if family == "GGUF":
        yield f"gguf(type={rest})"
    elif family == "compressed-tensors":
        bits = rest.partition("-")[0]
        for more in ("", ", symmetric=False"):
            yield from (f"compressed_tensors(bits={bits}, group={group}{more})" for group in GROUPS)
            yield f"compressed_tensors(bits={bits}, per=channel{more})"
    elif family == "ONNX":
        yield from ("uniform(bits=8, per=tensor)", "uniform(bits=8)", "uniform(bits=8, per=tensor, symmetric=False)")
    elif family == "bitsandbytes":
        yield {"NF4": "bitsandbytes.nf4", "FP4": "bitsandbytes.fp4"}.get(rest, "bitsandbytes.int8")
    elif family == "torchao":
        yield from ("torchao.int8_weight_only", "torchao.float8_weight_only(format=e4m3)")
    elif family == "int8":
        yield from (
            "compressed_tensors(bits=8, per=channel)",
            "compressed_tensors(bits=8, per=channel, symmetric=False)",
        )


def recipe_of(read: nn.Module, original: nn.Module, forms: tuple[tuple[str, int], ...]) -> str | None:
    """Return the specification of the quantizer that gives every weight read from a file, bit for bit.

    Parameters
    ----------
    read : the original's layers with the weights of the file.
    forms : how many numbers are stored in which form.

    Returns
    -------
    None if the file holds several forms, or none of the known quantizers made it.
    """
    forms = tuple(form for form in forms if form[0].split()[-1] not in PLAIN)
    if len(forms) != 1:
        return None
    found = {name: tensor.detach() for name, tensor, _ in tensors_of(read) if tensor.ndim > 1}
    released = checkpoints_of(original)
    for spec in _candidates(forms[0][0]):
        for end in ("same", "full"):
            scheme = _built(spec, end)
            if scheme is not None and _gives(scheme, released, found):
                return scheme.spec()
    return None


def _built(spec: str, last: str) -> Scheme | None:
    try:
        scheme = build(spec)
        scheme = build(spec.rstrip(")") + f"{', ' if '(' in spec else '('}last=full)") if last == "full" else scheme
    except LeaqError:  # a form that the package encodes no more
        return None
    return scheme if installed(scheme.needs.extra) else None


def _gives(scheme: Scheme, released: Checkpoints, found: dict[str, Tensor]) -> bool:
    """Whether a scheme gives all weights; looked at one by one, since most candidates differ in the first."""
    try:
        plan = scheme.plan(released)
        for name, tensor in found.items():
            weight = released.params[name]
            if name in plan:
                one = Checkpoints({name: weight}, {name: released.roles[name]}, (1,))
                weight = plan[name].model_copy(update={"first": "same", "last": "same"})(one).params[name]
            if not torch.equal(weight[0].to(tensor.dtype).cpu(), tensor.cpu()):
                return False
    except LeaqError:
        return False
    return True


def recipe_flag(recipe: str) -> Flag:
    """Say which quantizer made a file, and what that is good for."""
    text = (
        f"The weights of this file are {recipe} of the original's, bit for bit: named as a quantizer of leaq audit, it "
        "quantizes shadow models as this file was."
    )
    return Flag("recipe", text)
