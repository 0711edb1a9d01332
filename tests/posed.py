"""A rendered head as its T1w and its perfusion scan see it, in a known pose."""

import functools

import head
import numpy as np
from pharmasl.perfusion import tissue_maps
from pharmasl.space import transforms

T1W = head.centred((84, 100, 76), (2.0, 2.0, 2.0), shift=(3, 10, -5))
ASL = head.centred((44, 52, 20), (4.0, 4.0, 6.0), shift=(0, 0, 6))
TRUE = transforms.rigid_matrix((5, -7, 6), (0.1, -0.06, 0.08), (0, 0, 0))
# Signal of grey matter, white matter, fluid and scalp.
M0 = np.array([900.0, 740.0, 1250.0, 400.0])
DELTAM = np.array([10.0, 3.0, 0.0, 0.0])


@functools.cache
def maps():
    """Tissue maps of the T1w."""
    tissue = head.render(T1W)
    return tissue_maps.reduce([tissue[..., k] for k in range(3)], T1W.affine)


@functools.cache
def scanned(move=(0, 0, 0), turn=(0, 0, 0)):
    """Tissue shares in the scan, moved beyond its pose by mm and rad."""
    return head.scan(ASL, TRUE @ transforms.rigid_matrix(move, turn, (0, 0, 0)))
