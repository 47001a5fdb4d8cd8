"""Appearances of phantoms: MR sequences, or none in particular."""

APPEARANCES = {"t1": 0.13, "t2": 0.20, "flair": 0.20, "contrast": 0.31, "pd": 0.06, "random": 0.10}
"""The probability of each appearance."""
