"""Names of atlas regions in words: ``Frontal_Inf_Tri_R`` is the right inferior frontal gyrus, triangular part.

The words are those of AAL3's own papers (Rolls et al. 2020, doi 10.1016/j.neuroimage.2019.116189, its table 2; Tzourio-Mazoyer
et al. 2002, doi 10.1006/nimg.2001.0978). Tables of results keep the atlas' names, by which a region is looked up.
"""

import re
from collections.abc import Sequence

# Regions with a left and a right one, the side left out; "{}" is where the side stands in the words.
_SIDED = {
    "Precentral": "{} precentral gyrus",
    "Frontal_Sup_2": "{} superior frontal gyrus, dorsolateral part",
    "Frontal_Mid_2": "{} middle frontal gyrus",
    "Frontal_Inf_Oper": "{} inferior frontal gyrus, opercular part",
    "Frontal_Inf_Tri": "{} inferior frontal gyrus, triangular part",
    "Frontal_Inf_Orb_2": "{} inferior frontal gyrus, orbital part",
    "Rolandic_Oper": "{} Rolandic operculum",
    "Supp_Motor_Area": "{} supplementary motor area",
    "Olfactory": "{} olfactory cortex",
    "Frontal_Sup_Medial": "{} superior frontal gyrus, medial part",
    "Frontal_Med_Orb": "{} superior frontal gyrus, medial orbital part",
    "Rectus": "{} gyrus rectus",
    "OFCmed": "{} medial orbital gyrus",
    "OFCant": "{} anterior orbital gyrus",
    "OFCpost": "{} posterior orbital gyrus",
    "OFClat": "{} lateral orbital gyrus",
    "Insula": "{} insula",
    "Cingulate_Ant": "{} anterior cingulate cortex",
    "Cingulate_Mid": "{} middle cingulate cortex",
    "Cingulate_Post": "{} posterior cingulate cortex",
    "Hippocampus": "{} hippocampus",
    "ParaHippocampal": "{} parahippocampal gyrus",
    "Amygdala": "{} amygdala",
    "Calcarine": "{} calcarine cortex",
    "Cuneus": "{} cuneus",
    "Lingual": "{} lingual gyrus",
    "Occipital_Sup": "{} superior occipital gyrus",
    "Occipital_Mid": "{} middle occipital gyrus",
    "Occipital_Inf": "{} inferior occipital gyrus",
    "Fusiform": "{} fusiform gyrus",
    "Postcentral": "{} postcentral gyrus",
    "Parietal_Sup": "{} superior parietal gyrus",
    "Parietal_Inf": "{} inferior parietal gyrus",
    "SupraMarginal": "{} supramarginal gyrus",
    "Angular": "{} angular gyrus",
    "Precuneus": "{} precuneus",
    "Paracentral_Lobule": "{} paracentral lobule",
    "Caudate": "{} caudate nucleus",
    "Putamen": "{} putamen",
    "Pallidum": "{} pallidum",
    "Thalamus": "{} thalamus",
    "Heschl": "{} Heschl's gyrus",
    "Temporal_Sup": "{} superior temporal gyrus",
    "Temporal_Pole_Sup": "{} temporal pole, superior temporal gyrus",
    "Temporal_Mid": "{} middle temporal gyrus",
    "Temporal_Pole_Mid": "{} temporal pole, middle temporal gyrus",
    "Temporal_Inf": "{} inferior temporal gyrus",
    "Cerebellum_Crus1": "{} cerebellum, crus I",
    "Cerebellum_Crus2": "{} cerebellum, crus II",
    "Cerebellum_3": "{} cerebellum, lobule III",
    "Cerebellum_4_5": "{} cerebellum, lobules IV and V",
    "Cerebellum_6": "{} cerebellum, lobule VI",
    "Cerebellum_7b": "{} cerebellum, lobule VIIb",
    "Cerebellum_8": "{} cerebellum, lobule VIII",
    "Cerebellum_9": "{} cerebellum, lobule IX",
    "Cerebellum_10": "{} cerebellum, lobule X",
    "Thal_AV": "{} thalamus, anteroventral nucleus",
    "Thal_LP": "{} thalamus, lateral posterior nucleus",
    "Thal_VA": "{} thalamus, ventral anterior nucleus",
    "Thal_VL": "{} thalamus, ventral lateral nucleus",
    "Thal_VPL": "{} thalamus, ventral posterolateral nucleus",
    "Thal_IL": "{} thalamus, intralaminar nuclei",
    "Thal_Re": "{} thalamus, nucleus reuniens",
    "Thal_MDm": "{} thalamus, mediodorsal nucleus, medial magnocellular part",
    "Thal_MDl": "{} thalamus, mediodorsal nucleus, lateral parvocellular part",
    "Thal_LGN": "{} lateral geniculate nucleus",
    "Thal_MGN": "{} medial geniculate nucleus",
    "Thal_PuI": "{} thalamus, inferior pulvinar",
    "Thal_PuM": "{} thalamus, medial pulvinar",
    "Thal_PuA": "{} thalamus, anterior pulvinar",
    "Thal_PuL": "{} thalamus, lateral pulvinar",
    "ACC_sub": "{} anterior cingulate cortex, subgenual part",
    "ACC_pre": "{} anterior cingulate cortex, pregenual part",
    "ACC_sup": "{} anterior cingulate cortex, supracallosal part",
    "N_Acc": "{} nucleus accumbens",
    "VTA": "{} ventral tegmental area",
    "SN_pc": "{} substantia nigra, pars compacta",
    "SN_pr": "{} substantia nigra, pars reticulata",
    "Red_N": "{} red nucleus",
    "LC": "{} locus coeruleus",
}
# Names of AAL and AAL2 that AAL3 no longer has.
_SIDED |= {
    "Frontal_Sup": _SIDED["Frontal_Sup_2"],
    "Frontal_Mid": _SIDED["Frontal_Mid_2"],
    "Frontal_Sup_Orb": "{} superior frontal gyrus, orbital part",
    "Frontal_Mid_Orb": "{} middle frontal gyrus, orbital part",
    "Frontal_Inf_Orb": _SIDED["Frontal_Inf_Orb_2"],
    "Cingulum_Ant": _SIDED["Cingulate_Ant"],
    "Cingulum_Mid": _SIDED["Cingulate_Mid"],
    "Cingulum_Post": _SIDED["Cingulate_Post"],
}
_MIDLINE = {
    "Vermis_1_2": "cerebellar vermis, lobules I and II",
    "Vermis_3": "cerebellar vermis, lobule III",
    "Vermis_4_5": "cerebellar vermis, lobules IV and V",
    "Vermis_6": "cerebellar vermis, lobule VI",
    "Vermis_7": "cerebellar vermis, lobule VII",
    "Vermis_8": "cerebellar vermis, lobule VIII",
    "Vermis_9": "cerebellar vermis, lobule IX",
    "Vermis_10": "cerebellar vermis, lobule X",
    "Raphe_D": "dorsal raphe nucleus",
    "Raphe_M": "median raphe nucleus",
    "unlabelled": "outside the atlas' regions",
}
_SIDES = {"L": "left", "R": "right"}
# What the cluster table adds to a region that is not at the peak itself: "Insula_R (2 mm away)".
_AWAY = re.compile(r"(?P<name>.+) \((?P<distance>\d+) mm away\)")
_SHARE = re.compile(r"(?P<name>.+) (?P<share>\d+) %")
# Share of a cluster that its name answers for, and the most regions in a name.
_MOST, _NAMED = 60, 2
# Regions outside the atlas name a cluster only if there is nothing else.
_NOWHERE = "unlabelled"


def in_words(name: str) -> str:
    """An atlas region in words.

    Parameters
    ----------
    name : str
        As in an atlas' list of labels, or as the cluster table has it, with the distance of the nearest region.

    Returns
    -------
    str
        Words of AAL3's papers for its names; any other name with spaces for its underscores.
    """
    if away := _AWAY.fullmatch(name):
        return f"{in_words(away['name'])} ({away['distance']}\u00a0mm away)"
    if name in _MIDLINE:
        return _MIDLINE[name]
    stem, _, side = name.rpartition("_")
    if stem in _SIDED and side in _SIDES:
        return _SIDED[stem].format(_SIDES[side])
    return name.replace("_", " ")


def shares(text: str | None) -> list[tuple[str, int]]:
    """The regions of a cluster with their percentages, from the column ``regions`` of the cluster table.

    Parameters
    ----------
    text : str or None
        Such as ``"Frontal_Mid_2_R 69 %; Frontal_Inf_Tri_R 24 %"``.

    Returns
    -------
    list of (str, int)
        Names of the atlas, the largest share first; empty without any.
    """
    parts = (_SHARE.fullmatch(part.strip()) for part in (text or "").split(";"))
    return [(part["name"], int(part["share"])) for part in parts if part]


def cluster_in_words(text: str | None, at_peak: str | None = None) -> str:
    """A cluster by the regions that it mostly covers, not by the one at its peak alone.

    Parameters
    ----------
    text : str or None
        The column ``regions`` of the cluster table.
    at_peak : str, optional
        The column ``region`` of its first peak, for a cluster without shares.

    Returns
    -------
    str
        As many of its largest regions as cover 60 % of it, two at most; empty without an atlas.
    """
    own = [(name, share) for name, share in shares(text) if name != _NOWHERE]
    if not own:
        return in_words(at_peak) if at_peak else ""
    covered, named = 0, list[str]()
    for name, share in own[:_NAMED]:
        # A second region is named where it is a good part of the cluster.
        if covered >= _MOST or (named and 3 * share < own[0][1]):
            break
        named.append(name)
        covered += share
    return both_in_words(named)


def both_in_words(names: Sequence[str]) -> str:
    """One or two regions in words, what they share once: "right insula and putamen", "left and right insula"."""
    words = [in_words(name) for name in names]
    if len(words) == 2:
        first, second = words
        if {first.partition(" ")[0], second.partition(" ")[0]} == {"left", "right"}:
            own, whole = first.partition(" ")[::2]
            if second.partition(" ")[2] == whole:
                return f"{own} and {second.partition(' ')[0]} {whole}"
        side = next((side for side in _SIDES.values() if first.startswith(side) and second.startswith(side)), "")
        return f"{first} and {second.removeprefix(f'{side} ')}"
    return " and ".join(words)
