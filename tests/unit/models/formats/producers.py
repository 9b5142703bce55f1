"""Small models, and files of them that the producers' own packages write, with the weights these stand for."""

import json
import warnings

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from leaq.quantizers.backends.k_quants import K_TYPES, encode_k, pack_k
from tests.helpers import require


def net():
    """A perceptron with a square layer, whose orientation no shape gives away."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32)).eval()


def llama():
    """A two-layer Llama with random weights."""
    require("transformers")
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64, tie_word_embeddings=False, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


def matrices(module):
    return {name: t.detach() for name, t in module.named_parameters() if t.ndim == 2}


def layers(module):
    return {name: part for name, part in module.named_modules() if isinstance(part, nn.Linear)}


def others(module, quantized):
    names = {f"{name}.weight" for name in quantized}
    return {name: t.detach().clone() for name, t in module.state_dict().items() if name not in names}


# -- GGUF --------


def gguf_file(path, module, kind, *, arch=None, about=None, types=None):
    """Write a GGUF file, some weights in other `types`; k-quants by leaq's encoder, whose bytes are ggml's.

    A Llama's queries and keys are interleaved, as llama.cpp's converter does.
    """
    require("gguf")
    import gguf

    writer = gguf.GGUFWriter(str(path), arch or "perceptron")
    rename = str
    config = getattr(module, "config", None)
    if arch == "llama":
        writer.add_block_count(config.num_hidden_layers)
        writer.add_head_count(config.num_attention_heads)
        writer.add_head_count_kv(config.num_key_value_heads)
        table = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)

        def rename(name):
            return table.get_name(name, try_suffixes=(".weight", ".bias"))

    if about is not None:
        about(writer)
    expected = {}
    for name, tensor in module.state_dict().items():
        rows = tensor.detach().float().numpy()
        heads = 0
        if arch == "llama" and ("q_proj" in name or "k_proj" in name):
            heads = config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
            rows = rows.reshape(heads, 2, len(rows) // heads // 2, -1).swapaxes(1, 2).reshape(rows.shape)
        own = gguf.GGMLQuantizationType[(types or {}).get(name, kind) if rows.ndim == 2 else "F32"]
        packed = gguf_packed(np.ascontiguousarray(rows), own)
        writer.add_tensor(rename(name), packed, raw_dtype=own)
        back = gguf.quants.dequantize(packed, own)
        if heads:
            back = back.reshape(heads, len(back) // heads // 2, 2, -1).swapaxes(1, 2).reshape(back.shape)
        expected[name] = torch.tensor(np.array(back))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return expected


def gguf_packed(rows, kind):
    import gguf

    if kind.name not in K_TYPES:
        return gguf.quants.quantize(rows, kind)
    blocks = pack_k(*encode_k(rows.reshape(-1, 256), kind.name), kind.name)
    return blocks.reshape(len(rows), -1)


# -- compressed-tensors --------


def compressed(path, module, *, bits=4, kind="int", strategy="group", group=32, symmetric=True):
    """Write a checkpoint of compressed-tensors by its own compressors, with scales by its own rule."""
    require("compressed_tensors")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from compressed_tensors.compressors import BaseCompressor
        from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
        from compressed_tensors.quantization.utils import calculate_qparams, generate_gparam

        fp4 = kind == "float" and bits == 4
        args = QuantizationArgs(
            num_bits=bits, type=kind, strategy="tensor_group" if fp4 else strategy,
            group_size=16 if fp4 else (group if strategy == "group" else None), symmetric=symmetric,
            **({"scale_dtype": torch.float8_e4m3fn} if fp4 else {}),
        )  # fmt: skip
        form = {("int", 8): "int-quantized", ("float", 8): "float-quantized", ("float", 4): "nvfp4-pack-quantized"}
        name = form.get((kind, bits), "pack-quantized") if strategy != "group" or fp4 else "pack-quantized"
        compressor = BaseCompressor.get_value_from_registry(name)
        scheme = QuantizationScheme(targets=["Linear"], weights=args, format=name)
        stored, expected = others(module, layers(module)), {}
        for layer, part in layers(module).items():
            weight = part.weight.detach()
            width = args.group_size if strategy == "group" or fp4 else weight.shape[1]
            blocks = weight.reshape(len(weight), -1, width)
            whole = generate_gparam(weight.amin(), weight.amax()) if fp4 else None
            scale, zero = calculate_qparams(blocks.amin(-1), blocks.amax(-1), args, global_scale=whole)
            given = {"weight": weight, "weight_scale": scale, "weight_zero_point": zero}
            given |= {"weight_global_scale": whole} if fp4 else {}
            made = compressor.compress(given, scheme)
            back = compressor.decompress(made, scheme)["weight"]
            expected[f"{layer}.weight"] = back.float()
            stored |= {f"{layer}.{part_name}": tensor.contiguous() for part_name, tensor in made.items()}
        folder = path if path.suffix == "" else path.parent
        save_file({key: value.contiguous() for key, value in stored.items()}, folder / "model.safetensors")
        settings = {"quant_method": "compressed-tensors", "config_groups": {"g": {"weights": {"num_bits": bits}}}}
        (folder / "config.json").write_text(json.dumps({"quantization_config": settings}))
    return expected


# -- bitsandbytes, torchao --------


def bitsandbytes(path, module, kind):
    """Write the state of a module whose linear layers bitsandbytes quantized."""
    require("bitsandbytes")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import bitsandbytes as bnb

        stored, expected = others(module, layers(module)), {}
        for name, part in layers(module).items():
            if kind == "int8":
                layer = bnb.nn.Linear8bitLt(part.in_features, part.out_features, bias=False, has_fp16_weights=False)
                layer.weight = bnb.nn.Int8Params(
                    part.weight.detach().clone(), requires_grad=False, has_fp16_weights=False
                )
                layer = layer.to("cpu")
                layer(torch.zeros(1, part.in_features))
                state = layer.state_dict()
                expected[f"{name}.weight"] = state["weight"].float() * state["SCB"].unsqueeze(1) / 127
            else:
                quant, _, nested = kind.partition("-")
                weight = bnb.nn.Params4bit(
                    part.weight.detach().clone(),
                    requires_grad=False,
                    quant_type=quant,
                    compress_statistics=bool(nested),
                )
                layer = bnb.nn.Linear4bit(part.in_features, part.out_features, bias=False, quant_type=quant)
                layer.weight = weight
                layer = layer.to("cpu")
                state = {key: tensor.clone() for key, tensor in layer.state_dict().items()}
                expected[f"{name}.weight"] = bnb.functional.dequantize_4bit(
                    layer.weight.data, layer.weight.quant_state
                ).float()
            stored |= {f"{name}.{key}": tensor.contiguous() for key, tensor in state.items()}
        save_file(stored, path)
    return expected


def torchao(path, module, config_name, **options):
    """Write a module quantized by torchao as its own safetensors support flattens it."""
    require("torchao")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import copy

        import torchao.quantization as ao
        from torchao.prototype.safetensors.safetensors_support import flatten_tensor_state_dict

        other = copy.deepcopy(module)
        ao.quantize_(other, getattr(ao, config_name)(**options))
        expected = {f"{name}.weight": part.weight.dequantize().float() for name, part in layers(other).items()}
        tensors, about = flatten_tensor_state_dict(other.state_dict())
        save_file({key: value.contiguous() for key, value in tensors.items()}, path, metadata=about)
    return expected


# -- ONNX --------


def exported(path, module, inputs):
    require("onnx")
    require("onnxruntime")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, (inputs,), path, dynamo=False, input_names=["x"], dynamic_axes={"x": {0: "n"}}, opset_version=21,
            verbose=False,
        )  # fmt: skip


def onnxruntime_file(path, module, kind, inputs):
    """Quantize an exported module by onnxruntime's own tools."""
    plain = path.with_name(f"plain-{path.name}")
    exported(plain, module, inputs)
    import logging

    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_dynamic,
        quantize_static,
    )

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.parts = iter([{"x": inputs.numpy()}])

        def get_next(self):
            return next(self.parts, None)

    logging.disable(logging.WARNING)
    try:
        if kind.startswith("dynamic"):
            quantize_dynamic(
                plain, path, weight_type=QuantType.QUInt8 if "unsigned" in kind else QuantType.QInt8,
                per_channel="channel" in kind,
            )  # fmt: skip
        elif kind == "nbits":
            import onnx
            from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

            maker = MatMulNBitsQuantizer(_matmuls(onnx.load(plain)), bits=4, block_size=32, is_symmetric=True)
            maker.process()
            maker.model.save_model_to_file(str(path))
        else:
            extra = {"AddQDQPairToWeight": True} if "pairs" in kind else {}
            quantize_static(
                plain, path, Reader(), per_channel="channel" in kind,
                quant_format=QuantFormat.QOperator if "operator" in kind else QuantFormat.QDQ,
                weight_type=QuantType.QInt4 if "int4" in kind else QuantType.QInt8, extra_options=extra,
            )  # fmt: skip
    finally:
        logging.disable(logging.NOTSET)


def _matmuls(model):
    """Rewrite Gemm as MatMul and Add, the form that block quantization looks for."""
    import onnx

    stored = {item.name: onnx.numpy_helper.to_array(item) for item in model.graph.initializer}
    nodes, made = [], []
    for node in model.graph.node:
        if node.op_type != "Gemm":
            nodes.append(node)
            continue
        weight = node.input[1]
        made.append(onnx.numpy_helper.from_array(np.ascontiguousarray(stored[weight].T), f"{weight}_T"))
        nodes.append(
            onnx.helper.make_node("MatMul", [node.input[0], f"{weight}_T"], [f"{node.output[0]}_m"], node.name)
        )
        nodes.append(onnx.helper.make_node("Add", [f"{node.output[0]}_m", node.input[2]], [node.output[0]]))
    kept = [item for item in model.graph.initializer if item.name + "_T" not in {one.name for one in made}]
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend([*kept, *made])
    return model
