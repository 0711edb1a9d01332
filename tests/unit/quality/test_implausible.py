"""What makes a scan implausible: each limit from both sides, and the cause in words."""

import math

import pytest
from pharmasl.conduct.losses import exclusion_kind
from pharmasl.quality import implausible, judgement

MEASURES = {"gm_cbf": 55.0, "gm_cbf_z": 9.0, "negative_gm_share": 0.02, "template_correlation": 0.5}
CONSISTENCY = {
    "M0OverControl": 5.0,
    "M0OverControlLeast": 1.2,
    "M0Spread": 1.0,
    "GainStep": 1.01,
    "GainStepVolume": 20,
    "ZeroShare": 0.0,
    "BackgroundSuppression": True,
    "GreyMatterMedian": 55.0,
    "EffectiveDelay": 1.8,
    "EffectiveDelayLeast": 0.65,
}


def causes(measures=None, **consistency):
    return implausible.causes({**MEASURES, **(measures or {})}, {**CONSISTENCY, **consistency})


def test_a_good_scan_and_one_of_which_little_is_known_have_none():
    assert causes() == []
    assert (
        causes(
            {"gm_cbf_z": math.nan},
            M0OverControl=None,
            M0Spread=None,
            GainStep=None,
            ZeroShare=None,
            GreyMatterMedian=None,
        )
        == []
    )


@pytest.mark.parametrize(
    ("measures", "consistency", "cause"),
    [
        (
            {},
            {"M0OverControl": 1.19},
            "M0 is no brighter than the suppressed controls (1.19 times, at least 1.2 expected): ",
        ),
        ({}, {"M0OverControl": 0.45, "M0OverControlLeast": 0.5, "BackgroundSuppression": False}, "M0 is darker than"),
        (
            {},
            {"M0Spread": 10.0},
            "the M0 volumes disagree (the brightest is 10.0 times the dimmest, at most 1.5 expected)",
        ),
        ({}, {"GainStep": 1.11}, "the level of controls and labels steps midway (by a factor of 1.11 at volume 20, "),
        ({}, {"ZeroShare": 0.51}, "CBF is exactly 0 in much of the brain (51%, at most 50% expected)"),
        (
            {"gm_cbf": -58.0, "gm_cbf_z": -3.1},
            {},
            "grey-matter CBF is clearly below zero (-58.0 mL/100 g/min, z -3.1, ",
        ),
        (
            {"gm_cbf": -58.0, "gm_cbf_z": math.nan, "negative_gm_share": 0.9},
            {},
            "grey-matter CBF is clearly below zero",
        ),
        (
            {},
            {"EffectiveDelay": 0.2},
            "the delay is shorter than blood's way to grey matter (0.2 s, at least 0.65 s expected)",
        ),
        (
            {},
            {"GreyMatterMedian": 301.0},
            "grey-matter CBF is higher than any brain's (median 301 mL/100 g/min, at most 300",
        ),
        (
            {"gm_cbf": 4.1, "gm_cbf_z": 3.3},
            {"GreyMatterMedian": 3.9},
            "grey-matter CBF is lower than any living brain's (median 3.9 mL/100 g/min, at least 10 expected): the labelling failed",
        ),
        # Below zero by noise alone, and below zero clearly: the sign is named where it is known.
        (
            {"gm_cbf": -1.0, "gm_cbf_z": -0.8, "negative_gm_share": 0.55},
            {"GreyMatterMedian": -1.0},
            "grey-matter CBF is lower than any living brain's",
        ),
        (
            {"gm_cbf": -58.0, "gm_cbf_z": -3.1},
            {"GreyMatterMedian": -57.0},
            "grey-matter CBF is clearly below zero",
        ),
        ({"gm_cbf": math.nan}, {}, "no CBF is known in grey matter"),
        ({"template_correlation": math.nan}, {}, "no CBF is known in the template's brain"),
    ],
)
def test_each_cause_alone(measures, consistency, cause):
    (found,) = causes(measures, **consistency)
    assert found.startswith(cause)
    # In the flow of participants scans of one cause are one group, whatever their numbers.
    assert not any(
        character.isdigit()
        for character in exclusion_kind(found).replace("M0", "").replace("m0", "").replace("exactly 0", "")
    )


@pytest.mark.parametrize(
    ("measures", "consistency"),
    [
        ({"gm_cbf": -0.1, "gm_cbf_z": -0.35, "negative_gm_share": 0.5}, {}),
        ({"gm_cbf": -9.0, "gm_cbf_z": -2.9, "negative_gm_share": 0.74}, {}),
        ({"gm_cbf": 5.0, "gm_cbf_z": 0.3, "negative_gm_share": 0.8}, {}),
        ({}, {"M0OverControl": 1.2}),
        ({}, {"M0Spread": 1.5}),
        ({}, {"GainStep": 1.1}),
        ({}, {"ZeroShare": 0.5}),
        ({}, {"GreyMatterMedian": 300.0}),
        ({}, {"GreyMatterMedian": 10.0}),
        ({}, {"EffectiveDelay": 0.65}),
        ({}, {"EffectiveDelay": None, "EffectiveDelayLeast": None}),
    ],
)
def test_what_is_weak_or_at_the_limit_is_no_cause(measures, consistency):
    assert causes(measures, **consistency) == []


def test_a_persons_word_goes_before_rules_and_exclusion_before_acceptance():
    reasons = ["M0 dark"]
    assert judgement.decide(reasons, own=None, accepted=None, without_result=False).row()["usable"] == "no"
    verdict = judgement.decide(reasons, own=None, accepted="seen", without_result=False)
    assert (verdict.reasons, verdict.accepted, verdict.overruled) == ([], "seen", reasons)
    assert judgement.decide(["x", *reasons], own="x", accepted="seen", without_result=False).reasons == ["x", *reasons]
    assert judgement.decide(reasons, own=None, accepted="seen", without_result=True).accepted is None
    verdict = judgement.decide([], own=None, accepted="seen", without_result=False)
    assert verdict.row() == {"usable": "yes", "exclusion_reason": "", "accepted_by_hand": "seen", "overruled": ""}
