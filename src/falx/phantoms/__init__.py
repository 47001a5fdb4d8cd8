"""Phantoms: synthetic brain slices and volumes, with and without tumors, from random parameters.

The parameters of the tumor change no others, so that a seed gives the same slice with and without
one, except around the tumor: no other difference can give the class away.

For demonstrations, tests and pretraining; results on phantoms say nothing about patients.
"""

from falx.phantoms.appearance import APPEARANCES
from falx.phantoms.classes import KINDS, MIMICS, PLANE_NAMES
from falx.phantoms.heads.anatomy import Anatomies, Anatomy, find_anatomies
from falx.phantoms.implants import implant
from falx.phantoms.phantom import MIN_SIZE, Parameters, Phantom, draw, make_phantom, paint
from falx.phantoms.writing import write_phantoms, write_volumes

__all__ = [
    "APPEARANCES",
    "KINDS",
    "MIMICS",
    "MIN_SIZE",
    "PLANE_NAMES",
    "VERSION",
    "Anatomies",
    "Anatomy",
    "Parameters",
    "Phantom",
    "draw",
    "find_anatomies",
    "implant",
    "make_phantom",
    "paint",
    "write_phantoms",
    "write_volumes",
]

VERSION = 1
"""To be raised when a seed gives another phantom."""
