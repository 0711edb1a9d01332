"""What is said of known transit times and T1, on a scan's page and in the methods."""

from pharmasl.report import known_tissue_words


def record(**changes):
    """What a scan's sidecar has."""
    values = {"Source": "constants", "GreyMatter": 1.1, "WhiteMatter": 1.5}
    return {
        "TransitTime": values,
        "T1": {**values, "GreyMatter": 1.3, "WhiteMatter": 0.9},
        "SeveralDelays": False,
        "LateShare": 0.0,
        "ArrivingShare": 0.0,
        "TransitTimePriorSD": None,
        "Unknown": "the consensus' formula (Alsop et al. 2015)",
        "OverUnknown": {"gm": 1.24, "wm": None},
        "WithError": {
            "transit_time +0.1 s": {"gm": 0.981, "wm": 0.97},
            "transit_time -0.1 s": {"gm": 1.019, "wm": 1.03},
            "t1 +0.1 s": {"gm": 0.933, "wm": 0.93},
            "t1 -0.1 s": {"gm": 1.084, "wm": 1.09},
        },
        **changes,
    }


def test_a_scan_without_says_nothing():
    assert known_tissue_words.of_scan(None) is None
    assert list(known_tissue_words.methods([{"KnownTissue": None}, {}])) == []


def test_a_scans_table_has_every_change():
    page = known_tissue_words.of_scan(record(LateShare=0.05, ArrivingShare=0.4))
    assert (
        "transit time (1.1 s in grey and 1.5 s in white matter, by each voxel's shares of them) and T1 of tissue (1.3 s"
        in page.words
    )
    assert "In 5.0 % of the brain less than a third" in page.words
    assert "In 40 % of the voxels with a CBF" in page.words
    assert page.title == "With a known arterial transit time and T1 of tissue"
    assert page.columns == ["Grey matter, CBF", "White matter, CBF"]
    assert page.rows == [
        ["against the consensus' formula (Alsop et al. 2015)", "+24.0 %", "n/a"],
        ["if the arterial transit time were 0.1 s longer", "\u22121.9 %", "\u22123.0 %"],
        ["if the arterial transit time were 0.1 s shorter", "+1.9 %", "+3.0 %"],
        ["if the T1 of tissue were 0.1 s longer", "\u22126.7 %", "\u22127.0 %"],
        ["if the T1 of tissue were 0.1 s shorter", "+8.4 %", "+9.0 %"],
    ]


def test_a_transit_time_alone_says_with_which_t1_label_decays():
    alone = record(T1=None)
    assert "T1 of tissue that is that of blood" in known_tissue_words.of_scan(alone).words


def test_the_methods_have_the_medians_of_the_scans():
    scans = [{"KnownTissue": record(OverUnknown={"gm": ratio, "wm": 1.2})} for ratio in (1.2, 1.24, 1.5)]
    text = " ".join(known_tissue_words.methods([*scans, {"KnownTissue": None}]))
    assert "differs by +24.0 % from that of the consensus' formula (Alsop et al. 2015)" in text
    assert "transit time 0.1 s longer or shorter would change it by \u22121.9 % or +1.9 %" in text
    assert "T1 of tissue 0.1 s longer or shorter would change it by \u22126.7 % or +8.4 %" in text
    assert "(medians of 3 scans)" in text
    assert "shares of them) in 3 of 4 scans; it was not measured" in text


def by_map(space, median, covered=1.0):
    percentiles = {"Value": [1.0, median, 1.9]}
    return {
        "Source": "a map",
        "File": "att.nii.gz",
        "Space": space,
        "Covered": covered,
        "GreyMatterPercentiles": percentiles,
    }


def test_a_map_is_named_with_its_place_its_median_and_its_holes():
    words = known_tissue_words.of_scan(record(TransitTime=by_map("T1w", 1.234, 0.97), T1=None)).words
    assert (
        "transit time by a map (att.nii.gz, on the participant's T1-weighted image, with a median of 1.23 s in grey matter"
        in words
    )
    assert "3.0 % of the tissue had no value and took the nearest" in words


def test_the_methods_have_the_range_of_the_maps_medians():
    scans = [{"KnownTissue": record(TransitTime=by_map("MNI152NLin2009cAsym", median))} for median in (1.3, 1.1, 1.2)]
    text = " ".join(known_tissue_words.methods(scans))
    assert "transit time by a map on MNI152NLin2009cAsym (median in grey matter 1.10 to 1.30 s)" in text


def of_several(**changes):
    """What the sidecar of a scan of several delays has."""
    later = {"Later": {"gm": 0.02, "wm": -0.031}}
    errors = {"transit_time +0.1 s": {"gm": 1.006, "wm": 1.01, **later}, "t1 +0.1 s": {"gm": 0.93, "wm": 0.92}}
    errors |= {"transit_time -0.1 s": {"gm": 0.993, "wm": 0.98, **later}, "t1 -0.1 s": {"gm": 1.08, "wm": 1.1, **later}}
    several = {"SeveralDelays": True, "LateShare": None, "ArrivingShare": None, "TransitTimePriorSD": 1.0}
    unknown = {"Unknown": "the fit with the T1 of blood throughout", "OverUnknown": {"gm": 1.27, "wm": 1.4, **later}}
    return record(**several, **unknown, **{"WithError": errors, **changes})


def test_a_scan_of_several_delays_says_what_becomes_of_cbf_and_transit_time():
    page = known_tissue_words.of_scan(of_several())
    assert "CBF and transit time were fitted with a known T1 of tissue (1.3 s in grey" in page.words
    assert "A known arterial transit time (1.1 s in grey and 1.5 s in white matter" in page.words
    assert "is the mean of the prior of the transit time, of SD 1 s." in page.words
    assert page.columns[2:] == ["Grey matter, transit time", "White matter, transit time"]
    assert page.rows[0] == [
        "against the fit with the T1 of blood throughout",
        "+27.0 %",
        "+40.0 %",
        "+0.020 s",
        "\u22120.031 s",
    ]
    assert page.rows[1][:2] == ["if the mean of the arterial transit time's prior were 0.1 s longer", "+0.6 %"]
    # Without a voxel of which both fits know a transit time.
    assert page.rows[2][3:] == ["n/a", "n/a"]


def test_the_methods_tell_single_from_several_delays():
    text = " ".join(known_tissue_words.methods([{"KnownTissue": record()}, {"KnownTissue": of_several()}]))
    assert "Label was taken to have a known arterial transit time" in text
    assert "in 1 of 2 scans; it was not measured in these scans." in text
    assert "After its arrival label was taken to decay with a known T1 of tissue (1.3 s in grey" in text
    assert "The mean of the transit time's prior (SD 1 s) was a known arterial transit time (1.1 s" in text
    assert "differs by +27.0 % from that of the fit with the T1 of blood throughout" in text
    assert "a mean of that prior 0.1 s longer or shorter would change it by +0.6 % or \u22120.7 %" in text


def test_a_known_t1_alone_of_several_delays():
    alone = of_several(TransitTime=None)
    assert known_tissue_words.of_scan(alone).title == "With a known T1 of tissue"
    assert "prior" not in " ".join(known_tissue_words.methods([{"KnownTissue": alone}])).partition("Mean grey")[0]
