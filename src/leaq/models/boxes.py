"""Black boxes: what turns inputs into outputs without showing its weights, as modules that can be audited.

A function, an onnxruntime session, a LiteRT or OpenVINO model, a TorchScript or exported program, an HTTP endpoint.
"""

import json
import logging
import urllib.error
import urllib.request
import warnings
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import torch
from torch import Tensor, nn

from leaq.errors import InvalidInput, StoreError, UnsupportedModel, need
from leaq.system.files import refuse_stand_in
from leaq.system.memory import refuse_beyond_memory

BOXES = (".onnx", ".tflite", ".xml", ".pt2", ".ts", ".torchscript")
"""Files that hold a program and not only weights, by ending; TorchScript also hides behind .pt and .pth."""
OPERATORS = ("torch.ao.quantization.fx._decomposed", "torchao.quantization.pt2e.quantize_pt2e")
"""Modules that make known to torch the operators of programs that PT2E quantized."""
MAPPED = frozenset({"tflite", "xml"})
"""Those whose runtime maps the weights' file, which may then be larger than memory."""


class BlackBox(nn.Module):
    """Anything that turns inputs into outputs, as a module without weights.

    Parameters
    ----------
    run : called with the inputs of one batch as numpy arrays (several, or named, where a record has several); returns
        an array (n, ...).
    bytes : what it weighs, where that is known.
    batch : the only number of records it takes at once, if there is such a number.
    kind : what it is, in words.

    Examples
    --------
    >>> box = BlackBox(lambda x: x @ np.ones((3, 2), dtype=np.float32))
    >>> tuple(box(torch.ones(5, 3)).shape)
    (5, 2)
    """

    def __init__(
        self,
        run: Callable[..., Any],
        *,
        bytes: int | None = None,  # noqa: A002 - the noun of `Size`
        batch: int | None = None,
        kind: str = "a function",
    ) -> None:
        super().__init__()
        self.eval()  # it has no other way to run
        self.run, self.bytes, self.batch, self.kind = run, bytes, batch, kind
        self.place = ""
        """Where inputs are sent to; empty if they stay on this machine."""

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        """Run one batch; what only takes a fixed number of records is given that many at a time."""
        arrays = [_array(item) for item in args]
        named = {key: _array(item) for key, item in kwargs.items()}
        first = next(iter((*arrays, *named.values())), None)
        if first is None:
            raise UnsupportedModel(f"{self.kind}: a black box needs inputs. Found none.")
        n, size = len(first), self.batch or len(first)
        parts = []
        for start in range(0, n, max(1, size)):
            rows = np.arange(start, start + size).clip(max=n - 1)  # the last piece is filled up with the last record
            found = self.run(*(item[rows] for item in arrays), **{key: item[rows] for key, item in named.items()})
            parts.append(_outputs(found, size, self.kind)[: n - start])
        return torch.cat(parts)

    def graft(self, module: nn.Module) -> "BlackBox":
        """Carry the weights that were read from the same file, under the names of `module`'s; they do not run."""
        carry(self, module)
        return self


def carry(one: nn.Module, module: nn.Module) -> None:
    """Let a module hold another's weights under the other's names."""
    one._parameters, one._buffers, one._modules = module._parameters, module._buffers, module._modules


def _array(value: Any) -> Any:
    return value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)


def _outputs(found: Any, n: int, kind: str) -> Tensor:
    if isinstance(found, Mapping):
        found = found.get("logits", next(iter(found.values()), None))
    if isinstance(found, list | tuple) and len(found) and not np.isscalar(found[0]):
        # Several results, of which the first counts, or rows: as many results as records are told by their axes.
        axes = getattr(found[0], "ndim", 0) + isinstance(found, tuple)
        if len(found) != n or (axes > 1 and len(found[0]) == n):
            found = found[0]
    try:
        outputs = found.detach().cpu() if isinstance(found, Tensor) else torch.from_numpy(np.array(found, dtype=None))
    except TypeError:
        raise UnsupportedModel(f"{kind}: outputs must be numbers (n, ...). Found {type(found).__name__}.") from None
    if outputs.ndim == 0 or len(outputs) != n:
        raise UnsupportedModel(
            f"{kind}: outputs must have one row a record, {n} of them. Found shape {tuple(outputs.shape)}."
        )
    return outputs if outputs.is_floating_point() else outputs.float()


# -- what people hand over ---------------------------------------------------------------------------------------------


def box_of(model: Any) -> nn.Module | None:
    """Return a module for what runs but is none: a session, a compiled model, an exported program, a function.

    None if it is nothing of the kind.
    """
    if isinstance(model, torch.export.ExportedProgram):
        return _program(model)
    if isinstance(model, Endpoint):
        return model.box()
    home = type(model).__module__.partition(".")[0]
    if home == "onnxruntime" and hasattr(model, "get_inputs"):
        return _session(model, None)
    if home == "openvino" and hasattr(model, "inputs"):
        return _openvino(model, None)
    if home == "ai_edge_litert" and hasattr(model, "get_input_details"):
        return _litert(model, None)
    if isinstance(model, nn.Module | type) or not callable(model):
        return None
    return BlackBox(model, kind=f"the function {getattr(model, '__name__', type(model).__name__)}")


def open_box(path: Path) -> nn.Module | None:
    """Open a file that holds a program; None if it holds weights alone.

    TorchScript and exported programs run what is in the file: their own operators, no Python code.

    Raises
    ------
    StoreError
        If the file is missing or damaged.
    """
    kind = _program_kind(path)
    if kind is None:
        return None
    size = program_bytes(path)
    opened: dict[str, Callable[[Path, int], nn.Module]] = {
        "onnx": _open_onnx,
        "tflite": _open_litert,
        "xml": _open_openvino,
        "pt2": _open_exported,
        "ts": _open_script,
    }
    try:
        return opened[kind](path, size)
    except (InvalidInput, StoreError, UnsupportedModel, ImportError):
        raise
    except Exception as err:  # each runtime has errors of its own for files that are none of its
        reason = (str(err).strip().splitlines() or ["no reason given"])[0][:160]
        raise StoreError(f"{path.name}: its runtime cannot open it ({type(err).__name__}: {reason}).") from None


def program_bytes(path: Path) -> int:
    """Return the bytes of a file that holds a program and of those beside it; 0 if it holds weights alone.

    Raises
    ------
    StoreError
        If a file is missing or damaged, as far as its header tells.
    InvalidInput
        If its runtime reads it whole, and it is larger than the memory that is free.
    """
    kind = _program_kind(path)
    if kind is None:
        return 0
    if not path.is_file():
        raise StoreError(f"There is no file {path.name!r}.")
    refuse_stand_in(path)
    files = [path]
    if kind == "onnx":
        from leaq.models.formats.onnx import files_of, load_onnx

        # Refuses external data that lie outside of the folder before a runtime opens them.
        files = files_of(load_onnx(path), path)
    elif kind == "xml":
        files.append(path.with_suffix(".bin"))
        if not files[1].is_file():
            raise StoreError(f"{path.name}: an OpenVINO model needs its weights in {path.stem}.bin beside it. Copy it.")
    elif kind == "pt2" and not zipfile.is_zipfile(path):
        raise StoreError(f"{path.name}: this is no exported program, or it ends early. Export it again.")
    size = sum(file.stat().st_size for file in files)
    if kind not in MAPPED:
        refuse_beyond_memory(path, size, "is read whole by its runtime")
    return size


def _program_kind(path: Path) -> str | None:
    if path.suffix in BOXES:
        return {".torchscript": "ts"}.get(path.suffix, path.suffix[1:])
    if path.suffix in (".pt", ".pth") and path.is_file() and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            # The programs of torch.jit.save hold code; what torch.save writes is a pickle and never opened.
            if any("/code/" in name for name in archive.namelist()):
                return "ts"
    return None


def _open_onnx(path: Path, size: int) -> nn.Module:
    runtime = need("onnxruntime", extra="onnx", purpose=f"Running {path.name}")
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = torch.get_num_threads()
    return _session(runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]), size)


def _session(session: Any, size: int | None) -> BlackBox:
    """Wrap an onnxruntime session: inputs by position or name, in the types it asks for."""
    wanted = session.get_inputs()
    types = {item.name: item.type for item in wanted}

    def run(*args: Any, **kwargs: Any) -> Any:
        given = {**dict(zip(types, args, strict=False)), **{key: kwargs[key] for key in kwargs if key in types}}
        missing = [name for name in types if name not in given]
        if missing:
            raise UnsupportedModel(f"The ONNX model takes {', '.join(types)}. Not given: {', '.join(missing)}.")
        typed = {name: value.astype(_numpy_type(types[name]), copy=False) for name, value in given.items()}
        return session.run([session.get_outputs()[0].name], typed)[0]

    first = wanted[0].shape[0] if wanted and wanted[0].shape else None
    batch = first if isinstance(first, int) and first > 0 else None
    return BlackBox(run, bytes=size, batch=batch, kind="an ONNX model run by onnxruntime")


def _numpy_type(name: str) -> Any:
    inner = name.removeprefix("tensor(").removesuffix(")")
    return {"float": np.float32, "double": np.float64, "float16": np.float16, "bool": np.bool_}.get(inner, inner)


def _open_litert(path: Path, size: int) -> nn.Module:
    litert = need("ai_edge_litert.interpreter", extra="litert", purpose=f"Running {path.name}")
    return _litert(litert.Interpreter(model_path=str(path)), size)


def _litert(interpreter: Any, size: int | None) -> BlackBox:
    """Wrap a LiteRT interpreter; integer inputs and outputs are scaled as the file says."""
    entries, leaving = interpreter.get_input_details(), interpreter.get_output_details()[0]
    interpreter.allocate_tensors()
    batch = int(entries[0]["shape"][0])

    def run(*args: Any) -> Any:
        for entry, value in zip(entries, args, strict=True):
            scale, zero = entry["quantization"]
            given = value
            if scale and np.issubdtype(entry["dtype"], np.integer):
                limits = np.iinfo(entry["dtype"])
                given = np.clip(np.rint(value / scale) + zero, limits.min, limits.max)
            interpreter.set_tensor(entry["index"], given.astype(entry["dtype"]))
        interpreter.invoke()
        found = interpreter.get_tensor(leaving["index"])
        scale, zero = leaving["quantization"]
        return (found.astype(np.float32) - zero) * scale if scale and found.dtype.kind in "iu" else found

    return BlackBox(run, bytes=size, batch=batch, kind="a LiteRT model")


def _open_openvino(path: Path, size: int) -> nn.Module:
    openvino = need("openvino", extra="openvino", purpose=f"Running {path.name}")
    return _openvino(openvino.Core().compile_model(str(path), "CPU"), size)


def _openvino(model: Any, size: int | None) -> BlackBox:
    shape = model.inputs[0].get_partial_shape()
    batch = int(shape[0].get_length()) if len(shape) and shape[0].is_static else None

    def run(*args: Any, **kwargs: Any) -> Any:
        return model(kwargs or list(args))[model.outputs[0]]

    return BlackBox(run, bytes=size, batch=batch, kind="an OpenVINO model")


def _open_script(path: Path, _: int) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated; files of it are still shipped
        module: nn.Module = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
    return module.eval()


def _open_exported(path: Path, _: int) -> nn.Module:
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)  # torch logs the traceback of what is raised here anyway
    try:
        for registering in OPERATORS:
            with suppress(RuntimeError):
                return _program(torch.export.load(str(path)))
            with suppress(ImportError):
                import_module(registering)
        return _program(torch.export.load(str(path)))
    finally:
        logging.disable(before)


def _program(program: torch.export.ExportedProgram) -> nn.Module:
    module: nn.Module = program.module()
    return module


# -- over the network --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Endpoint:
    """A model behind HTTP: inputs are sent as JSON, outputs are read from the JSON that comes back.

    The records leave this machine; results carry a flag that says where they went.

    Attributes
    ----------
    url : address that takes POST requests.
    inputs : name of the field that holds the list of records; dots reach into objects.
    outputs : name of the field of the answer that holds one row of outputs a record; empty if the answer is the list.
    extra : further fields of every request.
    headers : of every request, for example an authorisation.
    batch : records in one request.
    timeout : seconds until a request counts as failed.

    Examples
    --------
    >>> Endpoint("http://127.0.0.1:8501/v1/models/net:predict", inputs="instances", outputs="predictions").batch
    64
    """

    url: str
    inputs: str = "instances"
    outputs: str = "predictions"
    extra: Mapping[str, Any] | None = None
    headers: Mapping[str, str] | None = None
    batch: int = 64
    timeout: float = 60.0

    def box(self) -> BlackBox:
        """Return the endpoint as a module.

        Raises
        ------
        InvalidInput
            If the address is not one of HTTP.
        """
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InvalidInput(f"An endpoint's address must start with http:// or https://. Found {self.url!r}.")
        box = BlackBox(self._run, kind=f"the endpoint {parts.scheme}://{parts.netloc.rpartition('@')[2]}")
        box.place = parts.hostname
        return box

    def _run(self, inputs: Any) -> Any:
        rows: list[Any] = []
        for start in range(0, len(inputs), self.batch):
            part = inputs[start : start + self.batch]
            found = self._answer(part.tolist())
            if not isinstance(found, list) or len(found) != len(part):
                raise UnsupportedModel(
                    f"{self.url}: the answer's {self.outputs or 'list'} must hold one row of outputs a record, "
                    f"{len(part)} of them. Found {len(found) if isinstance(found, list) else type(found).__name__}."
                )
            rows += found
        return np.asarray(rows, dtype=np.float64)

    def _answer(self, records: list[Any]) -> Any:
        body: dict[str, Any] = dict(self.extra or {})
        place = body
        *outer, leaf = self.inputs.split(".")
        for name in outer:
            place = place.setdefault(name, {})
        place[leaf] = records
        request = urllib.request.Request(
            self.url, json.dumps(body).encode(), {"Content-Type": "application/json", **(self.headers or {})}
        )
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as answer:
                found = json.loads(answer.read())
        except urllib.error.HTTPError as err:
            raise StoreError(
                f"{self.url}: the endpoint must answer a POST of JSON. It said {err.code} {err.reason}."
            ) from None
        except (OSError, ValueError) as err:
            raise StoreError(f"{self.url}: no JSON came back ({type(err).__name__}: {err}).") from None
        for name in self.outputs.split(".") if self.outputs else ():
            if not isinstance(found, Mapping) or name not in found:
                keys = ", ".join(found) if isinstance(found, Mapping) else type(found).__name__
                raise UnsupportedModel(f"{self.url}: the answer must hold {self.outputs!r}. Found {keys}.")
            found = found[name]
        return found
