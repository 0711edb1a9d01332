"""Slices of a map without sign: the end of the colours, what has no value, and the words."""

import numpy as np
import pytest
from pharmasl.figures import quantity_map
from pharmasl.figures.brain_slices import Template
from pharmasl.figures.quantity_map import QuantityMap
from pharmasl.space import images


@pytest.fixture
def template(tmp_path):
    brain = np.zeros((24, 28, 20))
    brain[3:21, 3:25, 2:18] = 1
    affine = np.diag([3.0, 3.0, 3.0, 1.0])
    affine[:3, 3] = -30
    images.save(tmp_path / "t1w.nii", brain, affine)
    return Template(tmp_path / "t1w.nii"), brain


@pytest.mark.parametrize(("most", "end"), [(3.9, 4), (4.0, 4), (0.012, 0.015), (83, 100), (1.2, 1.5), (6.5, 8)])
def test_the_colours_end_at_a_round_number(most, end):
    assert quantity_map.upper_end([np.full((3, 3), most)]) == pytest.approx(end)


def test_a_map_without_values_is_no_figure(template):
    empty = QuantityMap(volume=np.full((24, 28, 20), np.nan), title="Spread", low=0, high=1)
    assert quantity_map.upper_end([empty.volume]) == 1
    assert quantity_map.html(template[0], empty) == ""


def test_slices_a_scale_and_words_for_those_who_do_not_see(template):
    own, brain = template
    text = quantity_map.html(own, QuantityMap(volume=np.where(brain, 2.0, np.nan), title="Spread, <i>", low=0, high=4))
    assert text.count("<image") == quantity_map.SLICES
    assert "Spread, &lt;i&gt;, axial slice at z =" in text
    assert "Colours of Spread, &lt;i&gt; from 0 to 4." in text
    assert "<i>" not in text
