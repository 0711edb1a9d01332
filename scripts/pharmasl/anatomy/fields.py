"""The dense maps of :mod:`pharmasl.fields`, under the name by which the stages of the anatomy know them."""

from pharmasl.fields import affine_part, invert, jacobian, rounded, sample

__all__ = ["affine_part", "invert", "jacobian", "rounded", "sample"]
