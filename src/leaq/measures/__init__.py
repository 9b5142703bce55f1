"""Measures: LossTable in, Estimate or AttackResult out. Torch-free; one paper a file; import the file you need."""
