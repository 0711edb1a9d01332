"""Codes of time-encoded labelling, and scans that are labelled by them."""

import numpy as np


def hadamard(size):
    """Sylvester's matrix of a power of two, without the constant column: rows are volumes, columns blocks."""
    matrix = np.ones((1, 1), dtype=int)
    while len(matrix) < size:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return matrix[:, 1:]


def walsh(size):
    """The same matrix with rows and columns by their number of changes of sign."""
    whole = np.concatenate([np.ones((size, 1), dtype=int), hadamard(size)], axis=1)
    return whole[np.argsort((np.diff(whole, axis=1) != 0).sum(axis=1), kind="stable")][:, 1:]


def paley():
    """A matrix of twelve, by the quadratic residues of eleven."""
    residues = {k * k % 11 for k in range(1, 11)}
    character = [0, *(1 if k in residues else -1 for k in range(1, 11))]
    whole = np.eye(12, dtype=int)
    whole[0, 1:], whole[1:, 0] = 1, -1
    whole[1:, 1:] += np.array([[character[(i - j) % 11] for j in range(11)] for i in range(11)])
    return (whole * whole[:, :1])[:, 1:]


def delays(durations, delay):
    """From the end of each block to the readout, in order of time."""
    durations = np.asarray(durations, dtype=float)
    return delay + durations[::-1].cumsum()[::-1] - durations


def volumes(matrix, deltam, static=1000.0):
    """A cycle's volumes (R, ...) whose blocks have these differences (B, ...): half of each, by its sign."""
    return static + 0.5 * np.tensordot(matrix, deltam, axes=1)
