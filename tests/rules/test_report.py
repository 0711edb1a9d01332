"""The scripts of the figures and of the report, from the tables that the other stages write."""

import dataclasses
import re
from html.parser import HTMLParser
from types import SimpleNamespace
from urllib.parse import unquote

import measured
import numpy as np
import pytest
import scored
import yaml
from loading import ROOT, script
from pharmasl.conduct import allocation_log
from pharmasl.conduct.trial_verdict import COLUMNS
from pharmasl.endpoints import (
    correlations,
    measure_models,
    measure_relations,
    measure_scores,
    measure_sensitivity,
)
from pharmasl.endpoints.measure_table import Score
from pharmasl.figures import findings
from pharmasl.files import tables
from pharmasl.group import verdict
from pharmasl.group.table import COLUMNS as CLUSTERS
from pharmasl.quality.measure_columns import COLUMNS as QUALITY
from pharmasl.quality.measure_columns import EXCLUSIONS
from pharmasl.regions import repeated_maps, repeated_values, seed_slopes
from pharmasl.report import (
    analyses_section,
    global_section,
    methods_perfusion,
    methods_section,
    participants_section,
    shown_paths,
)
from pharmasl.report.report_files import ReportFiles
from pharmasl.space import images
from pharmasl.study import configuration, settings, sheets
from pharmasl.study.labels import NAMES
from reported import CONFIG, HOSTILE, Inputs, constant, describe, inference, make, sidecar, write


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """All inputs of the report of a study of eight."""
    return make(tmp_path_factory.mktemp("report"))


class Page(HTMLParser):
    """What a browser would see: elements with attributes, headings, and all text."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.headings, self.words, self.open = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in ("meta", "img"):
            self.open.append(tag)
        if tag in ("h1", "h2"):
            self.headings.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.words.append(data)
        if self.open and {"h1", "h2"} & set(self.open):
            self.headings[-1] += data

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.words))


@pytest.fixture(scope="module")
def whole(study):
    return write(study)


def test_the_page_is_well_formed_and_every_tag_is_closed(whole):
    assert Page(whole).open == []


def test_names_of_columns_stay_in_the_tables_files(whole):
    text = Page(whole).text
    assert re.search(r"were quantified, at 2 sessions \(T1 and T2\)", text)
    assert not re.search("session_id|participant_id|volume_type|exclusion_reason", text)


def test_questions_stand_in_the_configured_order(whole):
    headings = Page(whole).headings
    assert headings == [
        "A <b>bold</b> & brave trial",
        "In short",
        "1 Participants and scans",
        "2 Image quality",
        "3 Group-by-time interaction in CBF (rest)",
        "4 Change in CBF (rest) with change in cluster one (rest)",
        "5 Cue-elicited craving",
        "6 Regional perfusion and craving",
        "7 Methods",
        "8 Files",
        "9 Provenance",
    ]


def test_an_analysis_is_called_what_the_study_calls_it(study):
    config = configuration.resolve({**CONFIG, "labels": {"analyses": {"rest_interaction": "Perfusion <at> rest"}}})
    labelled = Page(write(study, "labelled.html", config))
    assert any("Perfusion <at> rest" in heading for heading in labelled.headings)
    assert any("Change in CBF (rest)" in heading for heading in labelled.headings)


def test_sentences_have_the_words_of_the_labels(study):
    words = {
        "arms": {CONFIG["arms"]["treatment"]: "verum 80 mg", CONFIG["arms"]["control"]: "dummy"},
        "sessions": {"T1": "before", "T2": "week three"},
        "contrasts": {"rest": "resting state"},
        "analyses": {"rest_interaction": "Resting perfusion"},
    }
    text = Page(write(study, "worded.html", configuration.resolve({**CONFIG, "labels": words}))).text
    assert "Change in CBF (resting state) with change in" in text
    assert "Resting perfusion (contrast resting state): " in text
    assert "(verum 80 mg" in text or "on verum 80 mg" in text
    assert re.search(
        r"change of verum 80 mg minus change of dummy|higher on verum 80 mg than on dummy|lower on verum 80 mg than on dummy",
        text,
    )
    assert "resting state = " in text
    assert re.search(r"\(before, week three\)|\(before and week three\)", text)


def test_text_of_the_dataset_is_escaped(whole):
    tags = {tag for tag, _ in Page(whole).elements}
    assert not tags & {"b", "i", "iframe", "object", "embed", "link"}
    assert whole.count("<script") == 1  # the page's own
    assert HOSTILE in Page(whole).text
    for _, attributes in Page(whole).elements:
        assert not any(name.startswith("on") for name in attributes)


def test_the_page_needs_nothing_but_itself_and_links_to_files_that_exist(whole, study):
    for tag, attributes in Page(whole).elements:
        if "src" in attributes:
            assert attributes["src"].startswith("data:image/"), tag
        if "href" in attributes:
            address = attributes["href"]
            # A DOI is opened by a click, and then alone.
            inside = ("#", "scans/", *(["https://doi.org/10."] if tag == "a" else []))
            assert address.startswith(inside) or (study.here / unquote(address)).exists(), address
        assert "srcset" not in attributes
        assert "url(" not in attributes.get("style", "")
    css = whole[whole.index("<style>") : whole.index("</style>")]
    assert "url(" not in css
    assert "@import" not in css


def test_links_lead_somewhere(whole):
    page = Page(whole)
    anchors = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    links = {attributes["href"] for _, attributes in page.elements if "href" in attributes}
    targets = {link[1:] for link in links if link.startswith("#")}
    assert len([link for link in links if link.startswith("scans/sub-")]) == 16
    labels = {a["aria-labelledby"] for _, a in page.elements if "aria-labelledby" in a}
    assert targets | labels <= anchors
    sections = [target for target in targets if not target.startswith("ref-")]
    assert len(sections) == 11  # nine sections, what is in short, and the content


def test_every_picture_has_words_and_every_table_a_caption(whole):
    elements = Page(whole).elements
    pictures = [attributes for tag, attributes in elements if attributes.get("class") == "drawing"]
    assert "img" not in dict(elements)
    # Of the two analyses the one that ran shows its design and its regions too.
    assert len(pictures) == 2 + 2 + 3
    assert all(len(attributes["aria-label"]) > 30 for attributes in pictures)
    tags = [tag for tag, _ in elements]
    assert tags.count("table") == tags.count("caption") > 5
    assert dict(elements)["html"] == {"lang": "en"}


def test_no_folder_no_single_age_and_no_raw_path_leaves_the_study(whole, study):
    for secret in ("jane", "/home", "x_asl.nii.gz"):
        assert secret not in whole
    # Ages are told by arm alone: 20, 22, 24, 26 (mean 23) and 21 ... 27 (mean 24), SD 2.6 both.
    assert "<td>23.0 (2.6)</td>" in whole
    assert "<td>24.0 (2.6)</td>" in whole
    assert "4 (100 %)" in whole


def test_the_summary_says_once_that_effects_in_clusters_are_overestimates(whole):
    assert Page(whole).text.count("are overestimates, as the same data chose the clusters.") == 1


def test_the_summary_says_once_what_a_single_delay_cannot_tell(whole):
    assert Page(whole).text.count("blood that arrives later looks like less flow there") == 1


def test_the_finding_is_told_with_sign_place_size_and_p(whole):
    text = Page(whole).text.replace("\u00a0", " ")
    assert (
        "From T1 to T2, in a cluster of 27 voxels (1.7 mL) at right middle frontal gyrus (\u22124, 8, 4), the mean change in CBF was "
        "7.2 mL/100 g/min lower on baclofen than on placebo (Hedges' g \u22120.90, 95 % interval \u22121.60 to "
        "\u22120.20; an overestimate, as the same data chose the cluster): family-wise p = 0.029 by cluster extent "
        "(t = \u22126.10 at the peak)."
    ) in text
    assert (
        "12 voxels are significant in every one, each by what decides it (family-wise p \u2264 0.05); the highest at "
        "(40, 36, \u22128)."
    ) in text
    assert "Cluster extent, family-wise p \u2264 0.05; all other p values of this analysis are secondary" in text
    assert (
        "Significance is decided by cluster extent at a family-wise error of 0.05; the other statistics are secondary."
        in text
    )
    assert "Site one: a single person." in text
    assert "smoothness 4.1 x 4.2 x 4.3 voxels, 44 resels; caution: rough" in text
    assert "This analysis was not run: seed cluster_one has no values." in text
    assert f"most by {HOSTILE} (50)." in text


def test_the_effect_on_global_cbf_is_told_beside_the_maps(whole):
    text = Page(whole).text.replace("\u00a0", " ")
    assert (
        "Global CBF itself, absolute, by the same model: over the grey matter \u22121.50 mL/100 g/min (95 % CI \u22125.00 to "
        "3.00), p = 0.51 and over the brain \u22121.00 mL/100 g/min (95 % CI \u22125.00 to 3.00), p = 0.63."
    ) in text
    assert "The maps are of relative CBF" not in text


def test_relative_cbf_is_told_beside_the_global_effect(study):
    unit = "mL/100 g/min of relative CBF (brain mean of each scan scaled to 50)"
    scaling = {"scaling": "proportional", "reference": "brain", "meaning": "each scan divided by its mean"}
    block = {"effect": {"unit": unit}, "cbf_unit": unit, "scaling": scaling, "alpha": 0.1}
    relative, of_global = global_section.sentences(study.here / "global.tsv", block)
    assert relative == "The maps are of relative CBF: each scan divided by its mean."
    assert "mL/100 g/min (90" in of_global
    assert "relative" not in of_global


def test_an_analysis_is_told_in_declared_regions_first_and_in_parcels(whole):
    page = Page(whole)
    text = page.text.replace("\u00a0", " ")
    told = (
        "1 of 1 declared region significant, corrected by the largest statistic over them in each relabelling. insula: "
        "\u22125.00 mL/100 g/min (95 % CI \u22129.20 to \u22120.80), corrected p = 0.023."
    )
    assert told in text
    assert (
        "1 of the atlas' 2 parcels significant, corrected over all of them by the largest statistic over them in each "
        "relabelling: right middle frontal gyrus."
    ) in text
    # The cluster of these data has an estimate, and no p.
    assert "cluster one \u2020" in text
    assert "its estimate is a description, too large on average, and has no p" in text
    assert text.index("Clusters; significant ones in bold") < text.index(
        "insula: \u22125.00"
    )  # what decides comes first
    assert "<u>hostile" not in whole
    assert "declared regions and in every parcel of the atlas AAL3" in text


def analysed(path, rows=(), **decided):
    """The findings of an analysis of which something else is decided."""
    block = inference({"contrast": "rest", "effect": "group_by_time"})
    block["verdict"] |= decided
    tables.write_table(path.with_suffix(".tsv"), rows, CLUSTERS)
    tables.write_json(path.with_suffix(".json"), block)
    return findings.Findings(path.with_suffix(".tsv"), path.with_suffix(".json"))


CLUSTER = {
    "cluster": 1,
    "peak": 1,
    "x": 4,
    "y": 8,
    "z": 0,
    "sign": "+",
    "size_voxels": 27,
    "volume_mm3": 1728.0,
    "t": 6.1,
    "z_score": 4.0,
    "effect": 7.0,
    "effect_mean": 7.0,
    "p_fwe_cluster": 0.02,
    "p_verdict": 0.3,
    "significant": "no",
}


def test_an_analysis_that_could_not_reach_its_level_is_no_absence_of_an_effect(tmp_path):
    decided = {"can_reach_alpha": False, "smallest_attainable_p": 1 / 3, "significant": False, "p": 1 / 3}
    (sentence,) = analyses_section.sentences(analysed(tmp_path / "few", [CLUSTER], **decided), None)
    assert sentence.startswith("This analysis could not have been significant: the smallest p that its 70 relabellings")
    assert "0.33, above 0.05. It says nothing for or against an effect." in sentence
    assert "significant at" not in sentence


def test_a_method_without_a_family_wise_p_speaks_of_its_own_rate(tmp_path):
    decided = {"statistic": "false_discovery", "error_rate": verdict.FALSE_DISCOVERY, "smallest_attainable_p": None}
    good = {**CLUSTER, "p_verdict": 0.004, "significant": "yes", "p_fwe_cluster": None}
    (sentence,) = analyses_section.sentences(analysed(tmp_path / "mixed", [good], **decided), None)
    sentence = sentence.replace("\u00a0", " ")
    assert "q = 0.004 by the voxelwise false discovery rate" in sentence
    assert "family-wise" not in sentence
    (sentence,) = analyses_section.sentences(
        analysed(tmp_path / "none", [{**good, "significant": "no"}], **decided), None
    )
    assert sentence.startswith("No cluster was significant at false discovery rate q \u2264 0.05")
    assert "family-wise" not in sentence


def test_what_seed_and_outcome_share_stands_with_the_result(tmp_path):
    found = analysed(tmp_path / "shared", [{**CLUSTER, "significant": "yes"}])
    found.block["notes"] = ["seed and outcome share the scans of rest: their noise stands in both"]
    (sentence,) = analyses_section.sentences(found, None)
    assert sentence.endswith("Mind: seed and outcome share the scans of rest: their noise stands in both.")
    assert "Seed and outcome share the scans of rest: their noise stands in both." in analyses_section.notes(found, {})


def test_what_does_not_decide_makes_nothing_significant_and_voxels_outside_clusters_are_told(tmp_path):
    # Extent would be: p .02; the declared statistic says .3.
    (sentence,) = analyses_section.sentences(analysed(tmp_path / "voxel", [CLUSTER], statistic="voxel"), None)
    assert sentence.startswith("No cluster was significant at family-wise p \u2264 0.05 by peak height")
    assert "family-wise p = 0.3" in sentence.replace("\u00a0", " ")
    found = analysed(tmp_path / "tfce", [CLUSTER], statistic="tfce", voxels_outside_clusters=12)
    (sentence,) = analyses_section.sentences(found, None)
    assert sentence.startswith(
        "12 voxels are significant at family-wise p \u2264 0.05 by threshold-free cluster enhancement"
    )


def test_craving_is_told_from_the_models(whole, study):
    text = Page(whole).text.replace("\u00a0", " ")
    rows = tables.read_table(study.here / "craving_model.tsv")
    (row,) = (row for row in rows if (row["analysis"], row["term"]) == ("difference_of_changes", "arm:session"))
    side = "lower" if float(row["estimate"]) < 0 else "higher"
    assert f"The change on baclofen was {abs(float(row['estimate'])):.1f} points {side} than on placebo" in text
    (row,) = (
        row
        for row in tables.read_table(study.here / "roi_craving.tsv")
        if (row["timing"], row["group"], row["method"]) == ("change", "all", "pearson")
    )
    assert f"insula (rest, exploratory): r = {float(row['estimate']):.2f}".replace("-", "\u2212") in text


def test_flagged_scans_stand_out(whole):
    text = Page(whole).text
    assert "1 scan of 16 lies outside a band." in text
    assert f"{HOSTILE} T2 rest" in text
    assert "mean framewise displacement high" in text


def test_excluded_scans_are_counted_listed_and_missing_from_what_follows(whole):
    text = Page(whole).text
    sentence = "1 of 16 scans was excluded from contrasts and all that follows from them"
    assert f"Image quality : {sentence}; of those used, 1 scan lies outside a band and is to be inspected." in text
    assert (
        f"{sentence}. A scan was excluded if it was named in the configuration, or if fewer than 2 of its repeats"
        in text
    )
    left_out = "sub-03 T2 rest contrasts and analyses registration not accepted: <u>14 mm</u>"
    assert left_out in text
    assert "rest T2 8 (1 excluded) 4 (1 excluded) 4" in text  # in all, and by arm
    assert "sub-03 T2 rest excluded: registration not accepted" in text  # beside its picture
    assert "sub-03 does not enter: no CBF of rest at T2: the scan is excluded or covers nothing." in text
    assert "4 on baclofen, 4 on placebo; 1 participant left out; 6 degrees of freedom" in text
    assert "Nothing was left out." not in text
    # Mean grey-matter CBF by arm is that of usable scans.
    assert "Grey-matter CBF of usable scans" in text


def test_scans_accepted_by_hand_are_told_with_the_reason_and_what_it_overrules(study):
    rows = tables.read_table(study.here / "quality.tsv")
    rows[4] |= {"accepted_by_hand": "seen <b>by eye</b>", "overruled": "the M0 volumes disagree"}
    tables.write_table(study.here / "accepted.tsv", rows, QUALITY)
    text = Page(write(study, "accepted.html", quality=study.here / "accepted.tsv")).text
    told = "seen <b>by eye</b> (in spite of: the M0 volumes disagree)"
    assert f"1 scan was accepted by hand: sub-03 T1 rest: {told}." in text
    assert f"sub-03 T1 rest accepted by hand: {told}" in text  # beside its picture


def test_the_flow_of_participants_is_told_by_arm_with_every_loss(whole):
    text = Page(whole).text
    sentence = "9 participants randomised (4 to baclofen and 5 to placebo), 8 of them scanned."
    assert text.count(sentence) == 1
    assert any(sentence in a.get("aria-label", "") for _, a in Page(whole).elements)
    assert (
        "Randomised 9 4 5 Scanned 8 (1 lost) 4 4 (1 lost) Analysed: rest interaction 7 (2 lost) 3 (1 lost) 4 (1 lost)"
        in text
    )
    assert f"Analysed: rest interaction baclofen no scan at T2 1 {HOSTILE}" in text
    assert "Scanned placebo <img src=http://evil.example/y> 1 sub-99" in text


def test_without_exclusion_the_verdict_says_so(study):
    rows = tables.read_table(study.here / "quality.tsv")
    clean = [{**row, "usable": "yes", "exclusion_reason": None} for row in rows]
    tables.write_table(study.here / "clean.tsv", clean, QUALITY)
    tables.write_table(study.here / "none.tsv", [], EXCLUSIONS)
    text = Page(
        write(study, "clean.html", quality=study.here / "clean.tsv", quality_exclusions=study.here / "none.tsv")
    ).text
    assert (
        "Image quality : all 16 scans were usable; of those used, 1 scan lies outside a band and is to be inspected."
        in text
    )
    good = [{**row, "flags": None} for row in clean]
    tables.write_table(study.here / "clean.tsv", good, QUALITY)
    text = Page(
        write(study, "clean.html", quality=study.here / "clean.tsv", quality_exclusions=study.here / "none.tsv")
    ).text
    assert "Image quality : all 16 scans were usable." in text


def test_bands_tell_where_they_come_from(study):
    config = {**study.config, "quality": {**study.config["quality"], "bands": {"fd_mean": [None, 0.3]}}}
    text = Page(write(study, "bands.html", config)).text
    assert re.search(r"at most 0\.3 \d+ the configuration", text)
    assert "raters' scale to which the index was fitted (Dolui et al. 2024)" in text


def test_methods_are_what_was_run(whole):
    text = Page(whole).text
    for fact in (
        "post-labelling delay 1.7 s; labelling duration 1.45 s; labelling efficiency 0.81",
        "a factor of 1.024 (T1 of tissue 1.607 s)",
        "within the brain with a Gaussian kernel of 6 mm FWHM",
        "all 70 relabellings",
        "shrink factor 4",
        "Software: pharmasl 0.1.0, numpy 2.4.0 (Harris et al. 2020); the workflow was run with Snakemake",
    ):
        assert fact in text, fact


def test_the_methods_text_and_what_it_cites_are_files_beside_the_page(whole, study):
    text, entries = ((study.here / f"CITATION.{name}").read_text(encoding="utf-8") for name in ("md", "bib"))
    for cited in ("Alsop et al. 2015", "Tustison et al. 2010", "Rolls et al. 2020"):
        assert cited in text
        assert f"ref-{cited.split()[0].lower()}{cited[-4:]}" in whole
    assert entries.count("@article{") == text.count("<https://doi.org/") == whole.count('<li id="ref-')
    assert "avants2008" not in entries
    assert "<math display=" in whole


def test_the_filled_checklist_is_a_file_beside_the_page_and_stands_folded_on_it(whole, study):
    rows = tables.read_table(study.here / "checklist.tsv")
    assert (study.here / "checklist.json").exists()
    answers = {row["item"]: row["study"] for row in rows}
    assert answers["Labelling duration or bolus"] == "Labelling duration 1.45 s."
    assert answers["Registration: registry, number, date"] == "not known to the workflow: state it"
    assert "Randomised: 4 on baclofen and 5 on placebo." in answers["Numbers randomised, scanned and analysed, by arm"]
    assert not any("jane" in row["study"] or "sub-" in row["study"] for row in rows)
    text = Page(whole).text
    for row in rows:
        assert row["item"] in text
    folded = whole[whole.index("<summary>The checklist, filled in</summary>") :]
    assert 'href="checklist.tsv"' in folded[: folded.index("</details>")]


def test_methods_tell_where_scans_differ():
    one, other = sidecar(), sidecar()
    other["Constants"]["post_labeling_delay"] = constant(2.0, "s")
    perfusion = settings.read(configuration.resolve(CONFIG)).perfusion
    assert "post-labelling delay 1.7 s (2 scans) or 2 s (1 scan)" in methods_perfusion.perfusion(
        perfusion, [one, other, one], [{"anatomy": "the participant's"}] * 3
    )


def test_methods_tell_how_time_encoded_series_and_echoes_were_used():
    perfusion = settings.read(configuration.resolve(CONFIG)).perfusion
    order = {
        "Unexplained": {"as stated": 0.034, "blocks in reverse order": 0.04},
        "State": "indistinct",
        "Alike": {"blocks in reverse order": {"CBF": 1.13, "ATT": -0.2}},
        "Better": {},
        "Slips": {"Number": 3, "CBF": 0.08, "ATT": 0.12},
        "RefusedIfWrong": True,
    }
    weak = {**order, "State": "too weak", "Alike": {}, "Slips": None}
    encoded = [
        {
            **sidecar(),
            "Subtraction": "time-encoded: x",
            "TimeEncoding": {"Order": own, "Confirmed": confirmed, "OrdersOpen": 1},
            "Echo": "the first of 3 echoes (c)",
        }
        for own, confirmed in ((order, None), (weak, None))
    ]
    text = methods_perfusion.perfusion(perfusion, encoded, [{"anatomy": "the participant's"}] * 2)
    for words in (
        "Coded volumes were rigidly realigned",
        "Time-encoded series (2 scans) were decoded cycle by cycle",
        "left at most 3.4 % of the blocks' mean grey-matter signal unexplained",
        "1 scan does not tell it from other orders (blocks in reverse order), by which mean CBF would differ by up to 13 %.",
        "would go unnoticed in 1 scan, and change mean CBF by up to 8 %.",
        "In 2 scans neither the data nor the configuration settles the order.",
        "In 1 scan there was too little signal to confirm the order by.",
        "Cycles of time-encoded volumes were excluded if",
        "2 of 24 blocks",
        "Of series of several echoes, the first of 3 echoes was used, of series and M0 alike.",
    ):
        assert words in text
    assert "abel\u2013control" not in text
    encoded[0]["TimeEncoding"] |= {"Confirmed": "protocol of 2026", "OrdersOpen": 0}
    assert "The order was confirmed by: protocol of 2026." in " ".join(methods_perfusion.encoded(encoded))
    mixed = methods_perfusion.perfusion(perfusion, [encoded[0], sidecar()], [{"anatomy": "the participant's"}] * 2)
    assert "Label\u2013control pairs were excluded" in mixed


@pytest.mark.parametrize(
    ("without", "words"),
    [
        (0, "Each scan was registered rigidly to the tissue maps of the participant's T1-weighted image."),
        (
            2,
            "1 scan was registered rigidly to the tissue maps of the participant's T1-weighted image; 2 scans were registered affinely",
        ),
        (
            3,
            "Each scan was registered affinely to the template's tissue maps because the participant had no T1-weighted image.",
        ),
    ],
)
def test_methods_tell_scans_fitted_to_the_template_apart(without, words):
    scans = [{"anatomy": sheets.TEMPLATE_ANATOMY if k < without else "the participant's"} for k in range(3)]
    study = settings.read(configuration.resolve(CONFIG))
    text = methods_perfusion.perfusion(study.perfusion, [sidecar()] * 3, scans)
    assert words in text
    paragraphs = methods_section.paragraphs(
        study, scans, [sidecar()] * 3, {}, has_craving=False, has_relations=False, versions={}
    )
    assert any("N4" in paragraph for paragraph in paragraphs) == (without < 3)


def test_nothing_was_left_out_is_not_said_above_a_loss():
    nobody = [{"stage": "not scanned", "participants": "sub-1"}]
    assert participants_section.left_out(0, []) == "Nothing was left out."
    assert participants_section.left_out(0, nobody).startswith("No scan was left out; 1 participant is lost")
    assert participants_section.left_out(2, nobody).startswith("2 exclusions are listed")


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ({"rest": 1}, "rest"),
        ({"smoking": 1, "neutral": -1}, "smoking \u2212 neutral"),
        ({"a": -0.5, "b": 2}, "\u22120.5 \u00d7 a + 2 \u00d7 b"),
    ],
)
def test_contrasts_in_words(weights, words):
    assert methods_section.weighted(weights) == words


def test_same_results_same_page(study, whole):
    assert write(study, "again.html") == whole


def test_an_endpoint_has_its_part_its_method_and_its_line_in_short(study):
    """The tables of the endpoint stage, of scores that the test makes up; one region is related to them."""
    asked = {
        "table": "phenotype/smoking.tsv",
        "score": "cigarettes",
        "unit": "a day",
        "missing": {"imputations": 5, "deltas": [1, 50]},
        "relations": {"rois": ["insula"], "contrast": "rest", "resamples": 100},
    }
    config = configuration.resolve({**CONFIG, "endpoints": {"cigarettes": asked}})
    here, endpoint = study.here, settings.read(config).endpoints["cigarettes"]
    data = measured.measured(["baclofen", "placebo"] * 10, [[20 + k % 5, 12 + 7 * (k % 2) + k % 3] for k in range(20)])
    del data.scores["sub-01", "T2"]
    scores = {
        (who[4:], when): Score(measured=own, analysed=own, answered=None) for (who, when), own in data.scores.items()
    }
    rows = measure_scores.rows(data, scores, [])
    tables.write_table(here / "scores.tsv", rows, dict.fromkeys(rows[0], ""))
    for module, name in ((measure_models, "model"), (measure_sensitivity, "missing")):
        module.write(
            here / "scores.tsv", here / f"{name}.tsv", endpoint.question, sessions=data.sessions, arms=data.arms
        )
    cbf = {("insula", "rest"): {(who[4:], when): 50.0 + len(who) for who, when in data.scores}}
    values = scored.regions(cbf, {"insula": True})
    table = correlations.analyse(
        measure_relations.frame(data, []), values, endpoint.relations, data.arms, data.sessions, column="score"
    )
    tables.write_table(here / "relations.tsv", table.to_dict("records"), correlations.COLUMNS)
    page = Page(
        write(
            study,
            "endpoint.html",
            config,
            endpoint_models=[here / "model.tsv"],
            endpoint_sensitivity=[here / "missing.tsv"],
            endpoint_figures=[here / "picture.svg"],
            endpoint_relations=[here / "relations.tsv"],
        )
    )
    assert page.open == []
    assert any(heading.endswith("Clinical endpoints") for heading in page.headings)
    text = page.text.replace("\u00a0", " ")
    short = text[
        text.rindex("In short") : text.index(
            "Among all randomised participants with the scores that the model takes: baclofen - placebo"
        )
    ]
    assert re.search(
        r"Exploratory Cigarettes \. Adjusted means were [\d.]+ on placebo at T2 and [\d.]+ on baclofen at T2: a difference of "
        r"\S+ a day \(95 % CI \S+ to \S+; n = 19\); p [=<] 0\.\d+\.",
        short,
    )
    assert "With 1 missing score imputed as missing at random" in text
    assert (
        "The endpoint cigarettes (a day) was read from one column. It was modelled as followup ~ arm + baseline" in text
    )
    assert "cigarettes with regional CBF, adjusted for arm" in text


def test_a_single_scan_without_group_analyses(study):
    single = yaml.safe_load((ROOT / "config" / "single_scan.yaml").read_text(encoding="utf-8"))
    config = configuration.resolve(single)
    here = study.here
    for name in ("scans", "quality"):
        row = {**tables.read_table(here / f"{name}.tsv")[0], "session_id": None}
        tables.write_table(here / f"one_{name}.tsv", [row], describe([row]))
    tables.write_table(here / "one_participants.tsv", [{"participant_id": HOSTILE}], {"participant_id": "p"})
    tables.write_table(here / "one_exclusions.tsv", [], {"participant_id": "p"})
    tables.write_table(here / "one_unusable.tsv", [], EXCLUSIONS)
    lists = (
        "analyses_tables",
        "analyses_inference",
        "analyses_figures",
        "analyses_designs",
        "analyses_changes",
        "analyses_viewers",
        "conjunctions",
    )
    lists += (
        "analyses_called",
        "analyses_called_figures",
        "analyses_regions",
        "analyses_parcels",
        "analyses_region_figures",
        "analyses_global",
    )
    lists += ("craving_scores", "craving_model")
    text = write(
        study,
        "one.html",
        config,
        **{name: here / f"one_{name}.tsv" for name in ("scans", "quality", "participants", "exclusions")},
        **{
            name: []
            for name in (
                *lists,
                "participant_flow",
                "flow_figure",
                "craving_figure",
                "craving_diagnostics",
                "craving_mediation",
                "roi_craving",
                "roi_figure",
            )
        },
        quality_exclusions=here / "one_unusable.tsv",
        cbf_sidecars=[here / "cbf.json"],
    )
    page = Page(text)
    assert page.open == []
    assert "overestimates" not in page.text
    assert [heading[2:] for heading in page.headings[1:]] == [
        "Participants and scans",
        "Image quality",
        "Methods",
        "Files",
        "Provenance",
    ]
    assert "Nothing was left out." in page.text
    assert not [a for tag, a in page.elements if tag == "img"]


def test_the_verdict_of_the_trial_comes_first_and_every_answer_has_its_role(study):
    def words(given):
        return " ".join(given.text.replace("\u00a0", " ").split())

    page = Page(write(study, "undeclared.html"))
    assert "No primary answer was declared, so this study is exploratory" in page.text
    assert "Exploratory analysis rest_interaction" in words(page)
    assert "The verdict of the trial" not in page.text
    asked = {"answers": ["rest_interaction", "seed_link", "craving"], "secondary": ["craving.insula"]}
    # A seed of other scans than the outcome's: of the same it could not be primary.
    link = {**CONFIG["analyses"]["seed_link"], "seed": {"roi": "cluster_one", "contrast": "other"}}
    states = {"rest": {"acquisition": "rest"}, "other": {"acquisition": "other"}}
    changes = {
        "conditions": states,
        "contrasts": {"rest": {"rest": 1}, "other": {"other": 1}},
        "analyses": {**CONFIG["analyses"], "seed_link": link},
    }
    config = configuration.resolve({**CONFIG, **changes, "primary": asked})
    row = {"kind": "analysis", "role": "primary", "test": "<u>test</u>", "status": "answered"}
    row |= {"correction": "holm", "alpha": 0.05}
    rows = [
        row | {"answer": "rest_interaction", "p": 0.012, "p_corrected": 0.036, "significant": "yes"},
        row
        | {"answer": "seed_link", "p": None, "p_corrected": None, "significant": "no", "status": "not run: no scans"},
        row | {"answer": "craving", "kind": "endpoint", "p": 0.2, "p_corrected": 0.4, "significant": "no"},
        row | {"answer": "craving.insula", "role": "secondary", "p": 0.03, "correction": None, "alpha": None},
    ]
    tables.write_table(study.here / "verdict.tsv", rows, COLUMNS)
    page = Page(write(study, "declared.html", config, trial_verdict=[study.here / "verdict.tsv"]))
    text = words(page)
    start = text.rindex("In short")  # its first place is the list of sections
    short = text[start : text.index("Participants and scans", start)]
    told = (
        "Significant after correction over 3 primary answers (Holm's step-down method; family-wise error rate 0.05): rest "
        "interaction, p = 0.036 (unadjusted p = 0.012)."
    )
    assert short.index("Of 3 primary answers, 1 was significant after correction.") < short.index(
        "Primary: significant Group-by-time interaction in CBF"
    )
    assert "p = 0.036 (Holm, over 3 primary answers)" in short
    assert short.index("Primary: not significant Cue-elicited craving") < short.index(
        "Secondary Craving with CBF of the insula"
    )
    assert "Primary: not significant Change in CBF (rest) with change in cluster one" in short
    assert told in text
    assert "Could not be tested, and counted as not significant: seed link (no scans)." in text
    assert "Secondary, each tested at its own level: insula with craving." in text
    assert page.headings[1][2:] == "The verdict of the trial" or "The verdict of the trial" in [
        h[2:] for h in page.headings
    ]
    assert "Primary analysis rest_interaction" in text
    assert "Corrected over the 3 primary answers of the trial: p = 0.036, significant." in text
    assert "Corrected over the 3 primary answers of the trial: p = 0.4, not significant." in text
    assert "insula (rest, secondary)" in text
    assert "<u>test</u>" in text


def test_slopes_by_arm_and_the_left_out_test_stand_on_the_page(study):
    here = study.here
    slope = {"analysis": "seed_link", "seed": "cluster_one", "seed_contrast": "rest"}
    slope |= {"roi": "insula", "contrast": "rest"}
    slope |= {"slope": 0.5, "se": 0.1, "t": 5.0, "df": 5, "ci_low": 0.24, "ci_high": 0.76, "p": 0.004, "n": 8}
    slope |= {"p_permutation": 0.0123, "p_holm": 0.0246, "seed_defined_by_same_data": True}
    slope |= {"roi_defined_by_same_data": False, "note": "<u>hostile</u>"}
    rows = [{**slope, "group": group} for group in ("baclofen", "placebo", "all", "baclofen - placebo")]
    tables.write_table(here / "seed_slopes.tsv", rows, seed_slopes.COLUMNS)
    test = {"status": "run", "r": -0.5, "p": 0.02, "p_naive": 0.001, "r_same_region": -0.8, "p_same_region": 0.0001}
    test |= {"n": 7, "participants": 8, "permutations": 999, "tested_term": "arm"}
    tables.write_json(here / "cluster_one_leftout_test.json", test)
    text = write(
        study,
        "slopes.html",
        seed_slopes=[here / "seed_slopes.tsv"],
        left_out_tests=[here / "cluster_one_leftout_test.json"],
    )
    page = Page(text)
    assert page.open == []
    assert "Regional change with a seed's change, by arm" in [heading[2:] for heading in page.headings]
    assert "insula (rest) on cluster one (rest) \u2020: slope +0.50 in the baclofen arm (n = 8)" in page.text
    assert "p = 0.012, corrected p = 0.025" in page.text
    assert "found again for 7 of 8" in page.text
    assert "<u>hostile" not in text
    assert "Regional change with" not in write(study, "plain.html")


def test_what_would_have_been_called_stands_beside_the_result(study):
    text = write(study)
    page = Page(text)
    assert (
        "From t = 5.21 on, a voxel is called <b>so</b>. With each voxel's standard error that is an estimate of either sign of 12.2 mL/100 g/min "
        "(median over grey matter; 10th to 90th percentile 7.5 to 20.5); an estimate of 10 would have reached it in less than 1 %, one of 20 in "
        "88 %, one of 50 in 100 % of grey matter. Where a true effect is of that size, its estimate reaches that height in about half of all studies."
    ) in page.text
    assert "One more thing." in page.text
    assert (
        "would have been called significant at a voxel is its standard error times the cluster-forming height."
        in page.text
    )
    assert "a voxel is called <b>" not in text
    # Of the analysis that was run alone.
    assert text.count("What would have been called significant</h3>") == 1
    block = tables.read_json(study.here / "inference.json")
    nothing = {"status": "none: several effects tested together have no one size", "statistic": "extent"}
    tables.write_json(study.here / "joint.json", {**block, "smallest_called": nothing})
    files = [study.here / "joint.json", study.here / "not_run.json"]
    empty = [study.here / "no_called.tsv"] * 2
    page = Page(write(study, "joint.html", analyses_inference=files, analyses_called=empty))
    assert "No smallest called estimate can be stated: several effects tested together have no one size." in page.text


def test_repeatability_stands_on_the_page(study):
    here = study.here
    spread = {"within_sd": 4.0, "within_sd_low": 3.0, "within_sd_high": 6.0}
    whole = {"n": 9, "mean": 52.0, "unit": "mL/100 g/min", "people": "placebo", **spread}
    for name, value in (("detectable_change", 11.1), ("icc_consistency", 0.7), ("icc_agreement", 0.6), ("bias", -1.0)):
        whole |= {name: value, f"{name}_low": value - 0.3, f"{name}_high": value + 0.3}
    whole |= {"lower_limit": -12.1, "upper_limit": 10.1}
    varied = {"within_cv": 7.7, "within_cv_low": 5.8, "within_cv_high": 11.5}
    rows = [
        {**whole, **varied, "contrast": "rest", "kind": "global", "name": "grey_matter"},
        {
            **whole,
            "contrast": "cue",
            "kind": "region",
            "name": "insula",
            "defined_by_same_data": True,
            "note": "<u>few",
        },
        {**whole, "contrast": "cue", "kind": "parcel", "name": "Insula_L", "index": 7},
        {"contrast": "cue", "kind": "region", "name": "vmpfc", "people": "placebo", "n": 2, "unit": "mL/100 g/min"},
    ]
    columns = repeated_values.dictionary()
    tables.write_table(here / "repeatability.tsv", [{name: row.get(name) for name in columns} for row in rows], columns)
    middle = {"contrast": "rest", "unit": "mL/100 g/min", "people": "placebo", "n": 9, "least_n": 7, "voxels": 12345}
    middle |= {"percentile_10": 1.0, "median": 2.0, "percentile_90": 3.25}
    maps = [middle | {"map": name, "place": "grey_matter"} for name in ("within_sd", "within_cv", "icc")]
    empty = [{"contrast": "cue", "map": row["map"], "place": "grey_matter", "n": 2, "note": "<u>two"} for row in maps]
    for name, own in (("rest", maps), ("cue", empty)):
        filled = [{column: row.get(column) for column in repeated_maps.COLUMNS} for row in own]
        tables.write_table(here / f"{name}_summary.tsv", filled, repeated_maps.COLUMNS)
        (here / f"{name}_figure.html").write_text("<svg></svg>" if name == "rest" else "")
    text = write(
        study,
        "repeated.html",
        repeatability=[here / "repeatability.tsv"],
        repeatability_maps=[here / "cue_summary.tsv", here / "rest_summary.tsv"],
        repeatability_figures=[here / "cue_figure.html", here / "rest_figure.html"],
    )
    page = Page(text)
    assert page.open == []
    assert "Repeatability between the sessions" in [heading[2:] for heading in page.headings]
    assert "From the placebo arm alone" in page.text
    assert (
        "standard deviation 4.00 (3.00 to 6.00), 7.7 (5.8 to 11.5) % of the mean; ICC(3,1) 0.70 (0.40 to 1.00); 9 people"
        in page.text
    )
    assert "over 1 parcel of the atlas: median within-person standard deviation 4.00" in page.text
    assert "2 people; no voxel has a value: <u>two" in page.text
    assert (
        "Of 9 people, over 12,345 voxels of grey matter, median (10th to 90th percentile): within-person standard deviation 2.00 "
        "(1.00 to 3.25) mL/100 g/min, coefficient of variation 2.0 (1.0 to 3.2) %, ICC(3,1) 2.00 (1.00 to 3.25). A voxel has a value where "
        "at least 7 of them have CBF in both sessions."
    ) in page.text
    assert "<u>few" not in text
    assert "<u>two" not in text
    assert "Repeatability between" not in write(study, "unrepeated.html")
    pooled = [{name: {**row, "people": "all"}.get(name) for name in columns} for row in rows]
    tables.write_table(here / "repeatability.tsv", pooled, columns)
    text = Page(write(study, "pooled.html", repeatability=[here / "repeatability.tsv"])).text
    assert "All people were taken together: what a drug changed in some of them" in text
    assert "placebo arm alone" not in text


def test_paths_are_cut_and_words_with_slashes_are_not():
    given = {"bids_dir": "data/jane/bids", "unit": "mL/100 g/min", "list": ["/a/b", "C:\\x\\y"], "n": 1}
    assert shown_paths.without_paths(given) == {"bids_dir": "bids", "unit": "mL/100 g/min", "list": ["b", "y"], "n": 1}


LABELLED = dataclasses.replace(NAMES, arms={"baclofen": "the drug"})


def test_craving_figure_script_draws_both(study):
    here = study.here
    source = Inputs(
        {
            "scores": here / "craving_scores.tsv",
            "influence": here / "influence.tsv",
            "values": [here / "insula_values.tsv"],
            "roi_craving": [here / "roi_craving.tsv"],
        }
    )
    output = SimpleNamespace(craving=here / "craving.svg", diagnostics=here / "diagnostics.svg", roi=[here / "roi.svg"])
    config = study.config
    params = SimpleNamespace(
        craving=config["craving"], arms=config["arms"], sessions=config["sessions"], labels=settings.plain(LABELLED)
    )
    script("craving_figure").main(SimpleNamespace(input=source, output=output, params=params))
    for path in (output.craving, output.diagnostics, *output.roi):
        text = path.read_text()
        assert text.startswith("<svg ")
        assert "the drug" in text
        assert ">baclofen<" not in text


def test_group_figure_script_draws_a_map_and_a_page_of_what_was_not_run(study):
    here = study.here
    affine = np.diag([4.0, 4, 4, 1])
    affine[:3, 3] = [-40, -40, -30]
    brain = np.zeros((20, 22, 16))
    brain[3:17, 3:19, 2:14] = 100
    t = np.where(brain > 0, np.random.default_rng(0).normal(size=brain.shape), np.nan)
    t[9, 12, 8] = -6.1
    p = np.where(t == -6.1, 1.54, np.where(brain > 0, 0, np.nan))
    for name, data in (("reference", brain), ("t", t), ("p", p), ("missing", np.full(t.shape, np.nan))):
        images.save(here / f"{name}.nii.gz", data, affine)
    people = [{"participant_id": f"sub-{k}", "arm": k % 2, "intercept": 1.0} for k in range(8)]
    tables.write_table(here / "design_inference.tsv", people, describe(people))
    tables.write_table(here / "design_not_run.tsv", [], {"participant_id": "p"})
    visits = [
        {
            "participant_id": f"sub-{k}",
            "session_id": session,
            "arm": ["placebo", "baclofen"][k % 2],
            "cluster": 1,
            "value": k,
        }
        for k in range(8)
        for session in ("T1", "T2")
    ]
    tables.write_table(here / "cluster_values.tsv", visits, describe(visits))
    tables.write_table(here / "no_regions.tsv", [], {"roi": "Region"})
    images.save(here / "labels.nii.gz", np.where(t == -6.1, 1, 0), affine, dtype=np.int16)
    for table, block, values in (("clusters", "inference", "t"), ("no_clusters", "not_run", "missing")):
        source = Inputs(
            {
                "reference": here / "reference.nii.gz",
                "t": here / f"{values}.nii.gz",
                "called": here / f"{values}.nii.gz",
                "verdict": here / "p.nii.gz",
                "clusters": here / "labels.nii.gz",
                "table": here / f"{table}.tsv",
                "design": here / f"design_{block}.tsv",
                "inference": here / f"{block}.json",
                "cluster_values": here / "cluster_values.tsv",
                "regions": here / "no_regions.tsv",
                "region_values": [],
            }
        )
        output = SimpleNamespace(
            figure=here / f"group_{block}.html",
            design=here / "design.svg",
            changes=here / f"changes_{block}.html",
            viewer=here / f"viewer_{block}.html",
            called=here / f"called_{block}.html",
        )
        params = SimpleNamespace(
            analysis="rest_interaction",
            labels=settings.plain(NAMES),
        )
        script("group_figure").main(SimpleNamespace(input=source, output=output, params=params))
        assert output.design.read_text().startswith("<svg ")
    assert 'data-cluster="1"' in (here / "group_inference.html").read_text()
    assert (here / "group_not_run.html").read_text() == ""
    assert 'class="viewer"' in (here / "viewer_inference.html").read_text()
    assert (here / "viewer_not_run.html").read_text() == ""
    assert (here / "called_inference.html").read_text().count("<image") == 6
    assert (here / "called_not_run.html").read_text() == ""
    assert "Cluster 1" in (here / "changes_inference.html").read_text()
    assert (here / "changes_not_run.html").read_text() == ""


def test_a_blinded_page_says_so_on_top_and_at_every_table(study):
    text = write(study, "blinded.html", {**study.config, "blinded": True})
    assert text.count('class="blinded"') == 1
    assert "<title>BLINDED: " in text
    assert text.count("<caption>") == text.count('<strong class="flag">BLINDED</strong></caption>') > 5
    assert "BLINDED" not in write(study)


def test_the_page_tells_what_was_frozen_before_the_allocation_was_used(study):
    record = study.here / "allocation_log.json"
    settings = {"blinded": True, "sham": {"seed": 7}}
    # The mark as a page really carries it, escaped.
    write(study, "blinded.html", {**study.config, "blinded": True})
    allocation_log.record(record, allocation_log.state(settings, {}), study.here / "blinded.html")
    allocation_log.record(record, allocation_log.state({**settings, "blinded": False}, {}))
    try:
        text = write(study)
    finally:
        record.unlink()
    assert "own allocation first used) on" in text
    assert "uses the frozen workflow" in text
    assert "c0de" in text
    assert "uses the frozen workflow" not in write(study)


def test_the_rule_names_every_file_of_the_page():
    """Beside them it waits for the contrasts, the pages of the scans and the one that lists these, which the page does not read."""
    text = (ROOT / "rules" / "report.smk").read_text(encoding="utf-8")
    inputs = text[text.index("rule report:") :]
    inputs = inputs[inputs.index("input:") : inputs.index("output:")]
    names = re.findall(r"^        (\w+)=", inputs, flags=re.MULTILINE)
    assert [name for name in names if name not in ("contrasts", "scan_pages", "review_page")] == [
        field.name for field in dataclasses.fields(ReportFiles)
    ]
