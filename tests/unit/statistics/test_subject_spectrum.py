"""The residual space by structure against its decomposition as a whole."""

import numpy as np
import pytest
from pharmasl.statistics import subject_spectrum
from pharmasl.statistics.subject_spectrum import Subjects


def whole(design, response, subjects):
    """Values of the subjects' covariance in the residual space, and the responses' squares along their vectors."""
    member = (subjects.code[:, None] == np.arange(len(subjects.sizes))).astype(float)
    basis = np.linalg.qr(design, mode="complete")[0][:, design.shape[1] :]
    values, vectors = np.linalg.eigh(basis.T @ member @ member.T @ basis)
    return values, (vectors.T @ (basis.T @ response)) ** 2


def subjects_of(sizes):
    return Subjects(np.repeat(np.arange(len(sizes)), sizes), np.asarray(sizes))


SIZES = {
    "complete": [2] * 15,
    "incomplete": [2] * 12 + [1] * 5,
    "one to four": [1, 4, 2, 3, 2, 2, 4, 1, 3, 2, 4, 2],
    "fewer subjects than columns": [6, 7, 3],
}


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("shuffled", [False, True])
def test_it_is_that_of_the_whole_decomposition(name, shuffled):
    rng = np.random.default_rng(4)
    subjects = subjects_of(SIZES[name])
    n = len(subjects.code)
    if shuffled:
        subjects = Subjects(rng.permutation(subjects.code), subjects.sizes)
    group = (np.arange(len(subjects.sizes)) % 2)[subjects.code]
    session = rng.integers(0, 2, n)
    design = np.column_stack([np.ones(n), group, session, group * session, rng.normal(size=n)])
    response = rng.normal(50, 8, (n, 3))
    own = subject_spectrum.spectrum(design, response, subjects)
    values, squares = whole(design, response, subjects)
    assert own.counts.sum() == n - 5
    np.testing.assert_allclose(np.repeat(own.values[:, 0], own.counts[:, 0].astype(int)), values, atol=1e-9)
    starts = np.cumsum(own.counts[:, 0]).astype(int) - own.counts[:, 0].astype(int)
    np.testing.assert_allclose(own.squares, np.add.reduceat(squares, starts, axis=0), rtol=1e-9)


def test_what_does_not_differ_within_subjects_leaves_nothing_within():
    """To rounding of the square, so that it is seen as no residual variation at all."""
    rng = np.random.default_rng(5)
    subjects = subjects_of([2] * 10)
    design = np.column_stack([np.ones(20), np.tile([0.0, 1.0], 10)])
    response = 50 + rng.normal(0, 8, 10)[subjects.code, None] + 3 * design[:, 1:]
    own = subject_spectrum.spectrum(design, response, subjects)
    np.testing.assert_allclose(own.values[:, 0], [0, 2], atol=1e-12)
    assert own.squares[0, 0] <= 1e-26 * (response**2).sum()
    assert own.squares[1, 0] > 100


def test_subjects_of_one_observation_are_refused():
    with pytest.raises(ValueError, match="no subject has several observations"):
        subject_spectrum.spectrum(np.ones((5, 1)), np.arange(5.0)[:, None], subjects_of([1] * 5))
