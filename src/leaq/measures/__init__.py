"""Measures: LossTable in, Estimate out. Torch-free; one paper a file; import the file you need."""
