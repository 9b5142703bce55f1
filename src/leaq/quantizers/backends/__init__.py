"""Quantization libraries behind the contract of `Scheme`: what is audited is what the library really gives.

A library runs once on each released weight; its integer codes and scales are read from its own tensors, and its own
dequantized weights must come out of them bit for bit. Libraries are imported when they first run.
"""
