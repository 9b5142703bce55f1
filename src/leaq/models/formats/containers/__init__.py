"""Files of weights that are no safetensors, a kind a file; found here by `leaq.models.formats.reading`."""
