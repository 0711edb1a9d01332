"""Units and gains that are wrong by a factor."""

import logging

import numpy as np
import pytest
from pharmasl.errors import InputError
from pharmasl.perfusion import plausibility
from pharmasl.study import cbf_units

GM = np.linspace(0, 1, 240).reshape(6, 8, 5)


def brain(grey, white=None):
    """Grey matter of one value; elsewhere another."""
    return np.where(GM >= plausibility.GREY, grey, grey / 3 if white is None else white)


@pytest.mark.parametrize("scale", [10, 32, 100, 6000, 1e13])
def test_of_a_wrong_gain_is_warned_and_what_to_set_is_named(scale, caplog):
    # GE's difference images are 32 times the number of averages larger than its M0; 6000 is the formula's own constant.
    with caplog.at_level(logging.WARNING):
        assert plausibility.plausible(scale * brain(40.0), GM, "sub-01_asl.nii.gz") == pytest.approx(scale * 40.0)
    for word in ("sub-01_asl.nii.gz", "perfusion.m0.scale", "M0Estimate", "GE", "mL/g/min"):
        assert word in caplog.text


@pytest.mark.parametrize("grey", [25, 60, 110, 220, 300])
def test_what_a_brain_can_have_passes_silently(grey, caplog):
    assert plausibility.plausible(brain(float(grey)), GM, "x") == grey
    assert not caplog.records


def test_bright_vessels_and_missing_voxels_do_not_sway_the_median():
    cbf = brain(50.0)
    cbf[GM > 0.8] = 5000.0
    assert plausibility.plausible(cbf, GM, "x") == 50
    cbf[(GM > 0.5) & (GM < 0.7)] = np.nan
    cbf[GM > 0.8] = np.nan
    assert plausibility.plausible(cbf, GM, "x") == 50
    # Only grey matter judges.
    assert plausibility.plausible(brain(50.0, white=1e6), GM, "x") == 50


@pytest.mark.parametrize(
    ("grey", "word"), [(-40.0, "exchanged"), (-4000.0, "exchanged"), (0.0, "but 0"), (0.6, "perfusion.m0.scale")]
)
def test_low_and_negative_cbf_only_warns(grey, word, caplog):
    with caplog.at_level(logging.WARNING):
        assert plausibility.plausible(brain(grey), GM, "x") == grey
    assert word in caplog.text


def test_without_grey_matter_there_is_no_verdict(caplog):
    with caplog.at_level(logging.WARNING):
        assert plausibility.plausible(np.full(GM.shape, 1e6), np.zeros(GM.shape), "x") is None
        assert plausibility.plausible(np.full(GM.shape, np.nan), GM, "x") is None
    assert caplog.text.count("no grey matter") == 2


@pytest.mark.parametrize(
    "units",
    [
        "mL/100 g/min",
        "mL/100g/min",
        "ml/100g/min",
        "ml/min/100g",
        "mL/min/100 g",
        "mL/100 gm/min",
        "mL/(100 g min)",
        "mL/(100g*min)",
        "mL·100g⁻¹·min⁻¹",
        "mL 100g^-1 min^-1",
        "ml (100 g)-1 min-1",
        "mL.min-1.100g-1",
        "mL per 100 g per minute",
        "mL/100 g tissue/min",
        "ml of blood/100 g of brain/min",
        "  ML/100G/MIN ",
    ],
)
def test_the_standard_unit_in_all_its_spellings_changes_no_bit(units):
    assert plausibility.unit_factor(units, "x") == 1.0


@pytest.mark.parametrize(
    ("units", "factor"),
    [
        ("mL/g/min", 100),
        ("mL/min/g", 100),
        ("ml g-1 min-1", 100),
        ("10^-2 mL/g/min", 1),
        ("0.01 mL/g/min", 1),
        ("10^-1 mL/100 g/min", 0.1),
        ("1e-3 ml/g/min", 0.1),
        ("mL/100 g/s", 60),
        ("mL/g/s", 6000),
        ("uL/g/min", 0.1),
        ("µL/100 g/min", 1e-3),
        ("L/kg/min", 100),
        ("mL/kg/min", 0.1),
        # 100 mL of brain weigh 105 g.
        ("mL/100mL/min", 1 / 1.05),
        ("mL/mL/min", 100 / 1.05),
        ("ml/min/100ml", 1 / 1.05),
    ],
)
def test_declared_units_are_converted(units, factor):
    assert cbf_units.conversion(units) == pytest.approx(factor, rel=1e-12)
    assert plausibility.unit_factor(units, "x") == cbf_units.conversion(units)


@pytest.mark.parametrize(
    "units",
    [
        "arbitrary",
        "a.u.",
        "s",
        "1/s",
        "mL/100g",
        "mL/min",
        "g/mL/min",
        "min/mL/100g",
        "mL/100 g/min/min",
        "mL 100 g min",
        "mmol/100 g/min",
        "mL/100 g/min?",
        "mL/100/g/min 3",
        "%",
        "  ",
        7,
    ],
)
def test_unknown_units_are_refused(units):
    with pytest.raises(InputError) as error:
        plausibility.unit_factor(units, "sub-01_asl.nii.gz")
    assert error.value.field == "Units"
    assert error.value.found == units


def test_undeclared_units_are_taken_only_where_grey_matter_is_plausible():
    assert plausibility.unit_factor(None, "x") == plausibility.unit_factor("", "x") == 1
    for grey in (5.0, 60.0, 200.0):
        plausibility.undeclared(brain(grey), GM, "x")
    for grey in (0.6, 4.9, 201.0, 600.0, -50.0, 0.0):
        with pytest.raises(InputError, match="Units"):
            plausibility.undeclared(brain(grey), GM, "x")
    with pytest.raises(InputError, match="unknown"):
        plausibility.undeclared(brain(60.0), np.zeros(GM.shape), "x")


def test_series_of_volumes_are_judged_alike():
    series = np.stack([brain(0.5), brain(0.6), brain(0.7)], axis=3)
    assert plausibility.grey_median(series, GM) == pytest.approx(0.6)
    with pytest.raises(InputError, match=r"0\.6"):
        plausibility.undeclared(series, GM, "x")
    plausibility.undeclared(100 * series, GM, "x")
