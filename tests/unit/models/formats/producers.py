"""Small models, and files of them that the producers' own packages write, with the weights these stand for."""

import json
import warnings

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from leaq.quantizers.backends.k_quants import K_TYPES, encode_k, pack_k
from leaq.quantizers.backends.level_tables import LEVEL_TABLES, encode_table, pack_table
from tests.helpers import require


def net():
    """A perceptron with a square layer, whose orientation no shape gives away."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32)).eval()


def wide():
    """A perceptron whose rows are whole blocks of 256, as k-quants need."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 32)).eval()


def wide_llama():
    """A two-layer Llama whose rows are whole blocks of 256."""
    return llama(256)


def llama(width=64):
    """A two-layer Llama with random weights."""
    require("transformers")
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64, hidden_size=width, intermediate_size=max(width, 128), num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64, tie_word_embeddings=False, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


def records(module, n=40):
    """Inputs of a perceptron."""
    width = next(iter(matrices(module).values())).shape[1]
    return torch.randn(n, width, generator=torch.Generator().manual_seed(1))


def matrices(module):
    return {name: t.detach() for name, t in module.named_parameters() if t.ndim == 2}


def layers(module):
    return {name: part for name, part in module.named_modules() if isinstance(part, nn.Linear)}


def others(module, quantized):
    names = {f"{name}.weight" for name in quantized}
    return {name: t.detach().clone() for name, t in module.state_dict().items() if name not in names}


# -- GGUF --------


def gguf_file(path, module, kind, *, arch=None, about=None, types=None):
    """Write a GGUF file, some weights in other `types`; k- and i-quants by leaq's encoder, whose bytes are ggml's.

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

    if kind.name in ("IQ4_NL", "IQ4_XS"):
        block = LEVEL_TABLES[kind.name].block
        return pack_table(*encode_table(rows.reshape(-1, block), kind.name)).reshape(len(rows), -1)
    if kind.name not in K_TYPES:
        return gguf.quants.quantize(rows, kind)
    blocks = pack_k(*encode_k(rows.reshape(-1, 256), kind.name), kind.name)
    return blocks.reshape(len(rows), -1)


# -- compressed-tensors --------


def compressed(path, module, *, bits=4, kind="int", strategy="group", group=32, symmetric=True):
    """Write a checkpoint of compressed-tensors by its own compressors, with scales by its own rule.

    Floats in groups are NVFP4 with groups of 16, MXFP4, MXFP6 or MXFP8 with groups of 32.
    """
    require("compressed_tensors")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from compressed_tensors.compressors import BaseCompressor
        from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
        from compressed_tensors.quantization.utils import calculate_qparams, generate_gparam

        fp4 = kind == "float" and bits == 4
        nvidia = fp4 and group == 16
        grouped = strategy == "group" or fp4
        short = kind == "float" and grouped
        scales = {"scale_dtype": torch.float8_e4m3fn if nvidia else torch.uint8} if short else {}
        args = QuantizationArgs(
            num_bits=bits, type=kind, strategy="tensor_group" if nvidia else strategy,
            group_size=group if grouped else None, symmetric=symmetric, **scales,
            **({"block_structure": [128, 128]} if strategy == "block" else {}),
        )  # fmt: skip
        form = {("int", 8): "int-quantized", ("float", 8): "float-quantized"}
        name = "pack-quantized" if grouped else form.get((kind, bits), "pack-quantized")
        mx = {4: "mxfp4-pack-quantized", 6: "mxfp6-pack-quantized", 8: "mxfp8-quantized"}
        name = ("nvfp4-pack-quantized" if nvidia else mx[bits]) if short else name
        compressor = BaseCompressor.get_value_from_registry(name)
        scheme = QuantizationScheme(targets=["Linear"], weights=args, format=name)
        stored, expected = others(module, layers(module)), {}
        for layer, part in layers(module).items():
            weight = part.weight.detach()
            low, high = _extremes(weight, strategy, group if grouped else weight.shape[1])
            whole = generate_gparam(weight.amin(), weight.amax()) if nvidia else None
            scale, zero = calculate_qparams(low, high, args, global_scale=whole)
            given = {"weight": weight, "weight_scale": scale, "weight_zero_point": zero}
            given |= {"weight_global_scale": whole} if nvidia else {}
            made = compressor.compress(given, scheme)
            expected[f"{layer}.weight"] = _decompressed(compressor, made, scheme, fp4=fp4)
            stored |= {f"{layer}.{part_name}": tensor.contiguous() for part_name, tensor in made.items()}
        folder = path if path.suffix == "" else path.parent
        save_file({key: value.contiguous() for key, value in stored.items()}, folder / "model.safetensors")
        settings = {"quant_method": "compressed-tensors", "config_groups": {"g": {"weights": {"num_bits": bits}}}}
        (folder / "config.json").write_text(json.dumps({"quantization_config": settings}))
    return expected


def _extremes(weight, strategy, width):
    if strategy == "tensor":
        return weight.amin().reshape(1), weight.amax().reshape(1)
    if strategy == "block":
        blocks = weight.unflatten(0, (-1, min(128, len(weight)))).unflatten(2, (-1, 128))
        return blocks.amin((1, 3)), blocks.amax((1, 3))
    blocks = weight.reshape(len(weight), -1, width)
    return blocks.amin(-1), blocks.amax(-1)


def _decompressed(compressor, made, scheme, *, fp4):
    """Return what the package decompresses, in 32 bits; of 4-bit floats its decompressor would give 16."""
    if not fp4:
        return compressor.decompress(made, scheme)["weight"].float()
    from compressed_tensors.compressors.nvfp4.helpers import unpack_fp4_from_uint8
    from compressed_tensors.quantization.lifecycle.forward import dequantize

    packed = made["weight_packed"]
    rows, half = packed.shape
    return dequantize(
        x_q=unpack_fp4_from_uint8(packed, rows, 2 * half).float(),
        scale=compressor._decompress_scale(made["weight_scale"], torch.float32),
        args=scheme.weights, global_scale=made.get("weight_global_scale"), dtype=torch.float32,
    )  # fmt: skip


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
                expected[f"{name}.weight"] = bnb.functional.int8_vectorwise_dequant(state["weight"], state["SCB"])
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


def quanto(path, module, kind):
    """Write the state of a module whose linear layers optimum-quanto quantized; its embeddings stay as they are."""
    require("optimum.quanto")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import copy

        from optimum import quanto as package
        from optimum.quanto.tensor.packed import pack_weights

        other = copy.deepcopy(module)
        package.quantize(other, weights=getattr(package, kind))
        package.freeze(other)
        expected = {}
        for name, part in other.named_modules():
            weight = getattr(part, "weight", None)
            if not hasattr(weight, "_scale"):
                continue
            if hasattr(weight, "_shift"):  # its own steps: unpacking compiles C++ first, packing does not
                packed, bits = weight._data._data, weight.qtype.bits
                codes = torch.cat([packed >> at & 2**bits - 1 for at in range(0, 8, bits)])[: len(weight._scale)]
                assert torch.equal(pack_weights(codes, bits), packed)
                value = (weight._scale * codes - weight._shift).reshape(weight.shape)
            else:
                value = weight.dequantize()
            expected[f"{name}.weight"] = value.detach()
        save_file({name: tensor.contiguous() for name, tensor in other.state_dict().items()}, path)
    return expected


# -- torch.ao --------


def packed(module, kind, inputs):
    """Quantize a module by torch's own eager or FX tools; return it, and what its layers give back as weights.

    The scales of `channels` are those of the configuration for x86, the others those for qnnpack.
    """
    import copy

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.ao import quantization as ao
        from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

        engine, other = "x86" if "channels" in kind else "qnnpack", copy.deepcopy(module)
        if kind.startswith("dynamic"):
            each = {nn.Linear: ao.per_channel_dynamic_qconfig} if "channels" in kind else {nn.Linear}
            made = ao.quantize_dynamic(other, each, torch.float16 if "16" in kind else torch.qint8)
        elif kind.startswith("static"):
            made = nn.Sequential(ao.QuantStub(), *other, ao.DeQuantStub()).eval()
            made.qconfig = ao.get_default_qconfig(engine)
            made = ao.prepare(made)
            made(inputs)
            made = ao.convert(made)
        else:
            made = prepare_fx(other, ao.get_default_qconfig_mapping(engine), (inputs,))
            made(inputs)
            made = convert_fx(made)
        shift = kind.startswith("static")  # a layer stands before the first one
        own = dict(made.named_modules())
        expected = {}
        for name in (
            name for name, part in module.named_modules() if isinstance(getattr(part, "weight", None), Tensor)
        ):
            part = own.get(str(int(name) + 1) if shift else name)
            if callable(getattr(part, "weight", None)):
                weight = part.weight()
                expected[f"{name}.weight"] = weight.dequantize() if weight.is_quantized else weight
    return made, expected


# -- exported programs --------


def program(module, inputs):
    """Export a module for any number of records."""
    return torch.export.export(module, (inputs,), dynamic_shapes=({0: torch.export.Dim("n")},))


def pt2e(module, inputs, *, dynamic=False):
    """Quantize an exported module by torchao's PT2E, activations too."""
    require("torchao")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
        from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86

        configuration = x86.get_default_x86_inductor_quantization_config(is_dynamic=dynamic)
        quantizer = x86.X86InductorQuantizer().set_global(configuration)
        prepared = prepare_pt2e(program(module, inputs).module(), quantizer)
        prepared(inputs)
        return convert_pt2e(prepared)


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
        CalibrationMethod,
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
                per_channel="channel" in kind, reduce_range="reduced" in kind,
            )  # fmt: skip
        elif kind.startswith("nbits"):
            import onnx
            from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

            symmetric, bits = "asymmetric" not in kind, 8 if "8" in kind else 4
            maker = MatMulNBitsQuantizer(_matmuls(onnx.load(plain)), bits=bits, block_size=32, is_symmetric=symmetric)
            maker.process()
            maker.model.save_model_to_file(str(path))
        else:
            extra = {"AddQDQPairToWeight": True} if "pairs" in kind else {}
            types = {"unsigned": QuantType.QUInt8, "uint4": QuantType.QUInt4, "int4": QuantType.QInt4}
            types |= {"float8": QuantType.QFLOAT8E4M3FN}
            weight = next((own for name, own in types.items() if name in kind), QuantType.QInt8)
            same = weight if "unsigned" in kind or "float8" in kind else QuantType.QInt8
            method = CalibrationMethod.Distribution if "float8" in kind else CalibrationMethod.MinMax
            quantize_static(
                plain, path, Reader(), per_channel="channel" in kind, reduce_range="reduced" in kind,
                quant_format=QuantFormat.QOperator if "operator" in kind else QuantFormat.QDQ,
                weight_type=weight, activation_type=same, extra_options=extra, calibrate_method=method,
            )  # fmt: skip
    finally:
        logging.disable(logging.NOTSET)


def onnx_weights(path, module):
    """Return the weights that a quantized ONNX file stands for, by ONNX's own operators on its constants."""
    import onnx
    import onnxruntime

    model = onnx.load(path)
    stored = {item.name: item for item in model.graph.initializer}
    found = []
    for node in model.graph.node:
        if node.op_type == "MatMulNBits":
            found.append(_of_blocks(onnx, onnxruntime, node, stored))
    for name, item in stored.items():
        base = name.removesuffix("_quantized")
        if base != name and len(item.dims) == 2:
            given = [name, f"{base}_scale", f"{base}_zero_point"]
            own = [node for node in model.graph.node if node.op_type == "DequantizeLinear" and node.input[0] == name]
            node = onnx.helper.make_node("DequantizeLinear", given, ["w"], **({} if own else {"axis": 1}))
            for attribute in own[0].attribute if own else ():
                node.attribute.append(attribute)
            evaluator = onnx.reference.ReferenceEvaluator(_alone(onnx, node, [stored[key] for key in given], []))
            found.append(torch.from_numpy(evaluator.run(None, {})[0]))
    expected = {}
    for name, tensor in matrices(module).items():
        alike = [one if one.shape == tensor.shape else one.T for one in found]
        alike = [w for one in alike for w in (one, one.T) if w.shape == tensor.shape]
        expected[name] = min(alike, key=lambda one: (one - tensor).square().sum())
    return expected


def _of_blocks(onnx, onnxruntime, node, stored):
    """Run a product of blocks on unit vectors."""
    inputs = next(attribute.i for attribute in node.attribute if attribute.name == "K")
    alone = onnx.helper.make_node(node.op_type, ["x", *node.input[1:]], ["w"], domain=node.domain)
    alone.attribute.extend(node.attribute)
    x = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", inputs])
    model = _alone(onnx, alone, [stored[name] for name in node.input[1:] if name], [x])
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {"x": np.eye(inputs, dtype=np.float32)})[0])


def _alone(onnx, node, constants, inputs):
    output = onnx.helper.make_tensor_value_info("w", onnx.TensorProto.FLOAT, None)
    graph = onnx.helper.make_graph([node], "alone", inputs, [output], constants)
    sets = [onnx.helper.make_opsetid("", 21), onnx.helper.make_opsetid("com.microsoft", 1)]
    return onnx.helper.make_model(graph, opset_imports=sets, ir_version=10)


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
