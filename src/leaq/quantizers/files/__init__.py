"""Quantized weights in files: packed by leaq, or shipped by somebody and recognised."""
