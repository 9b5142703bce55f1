"""Attacks: LossTable in, AttackResult out. Torch-free; one paper a file; `scoring` turns scores into numbers."""
