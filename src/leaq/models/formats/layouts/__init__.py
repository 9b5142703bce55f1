"""How producers write quantized layers into safetensors, one a file; found here by `leaq.models.formats.layers`."""
