"""How gray levels are scaled inside a network."""

INPUT_SCALING = {"zero_one": (1 / 255, 0.0), "minus_one_one": (1 / 127.5, -1.0)}
"""Scale and offset of gray levels [0, 255]."""
