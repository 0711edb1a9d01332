"""Items of the reporting checklist on images: acquisition, quantification, processing and statistics."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pharmasl.files.tables import Row
from pharmasl.group import verdict
from pharmasl.quality import judgement
from pharmasl.report import (
    known_tissue_words,
    methods_anatomy,
    methods_imported,
    methods_perfusion,
    methods_section,
    own_blood_words,
    regions_section,
)
from pharmasl.report.analysis_definitions import Block
from pharmasl.report.checklist_item import ASL, CONSENSUS, Item, cobidas
from pharmasl.report.methods_perfusion import Sidecar, agreed
from pharmasl.report.words import count, listed, short, upper
from pharmasl.study import derivative_anatomies
from pharmasl.study.settings import Settings

_SHOWN = 4  # values that are listed; more are a range
_WORDS = {"true": "yes", "false": "no"}


@dataclass(frozen=True, kw_only=True)
class Imaging:
    """What the images' items are answered from.

    Attributes
    ----------
    scans : sequence of Row
        Of ``scans.tsv``.
    sidecars : sequence of Mapping
        ``_cbf.json`` of every scan whose CBF this workflow computed.
    imported : sequence of Mapping
        ``_cbf.json`` of every scan of whose CBF another program made the map.
    blocks : Mapping
        Analysis to its inference block.
    versions : Mapping
        Of the packages that compute.
    contrast_maps : str
        Where ready-made contrast maps come from, and what was done to them; empty in a study of scans.
    """

    scans: Sequence[Row]
    sidecars: Sequence[Sidecar]
    imported: Sequence[Sidecar]
    blocks: Mapping[str, Block]
    versions: Mapping[str, str]
    contrast_maps: str = ""


def tallied(values: Iterable[str | None], unit: str = "") -> str:
    """Values with the count of scans of each where they differ; a range where they are many; empty without any.

    Parameters
    ----------
    values : iterable of str or None
        One of each scan; None where it has none. Several of one scan are separated by blanks.
    unit : str
        Follows each value.

    Returns
    -------
    str
    """
    tally = Counter(values)
    without = tally.pop(None, 0)
    if not tally:
        return ""
    end = f" {unit}" if unit else ""
    words = {_shown(str(value)) + end: number for value, number in tally.items()}
    if len(words) == 1 and not without:
        return next(iter(words))
    numbers = [_number(str(value)) for value in tally]
    known = [number for number in numbers if number is not None]
    if len(words) > _SHOWN and len(known) == len(numbers):
        text = f"{short(min(known))} to {short(max(known))}{end} ({count(len(tally), 'different value')})"
    else:
        text = "; ".join(f"{value} ({count(number, 'scan')})" for value, number in words.items())
    return text + (f"; not stated for {count(without, 'scan')}" if without else "")


def _shown(value: str) -> str:
    return _WORDS.get(value, ", ".join(short(part) for part in value.split(" ")) if _is_list(value) else short(value))


def _is_list(value: str) -> bool:
    return all(_number(part) is not None for part in value.split(" "))


def _number(value: str) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None


def _labelled(parts: Iterable[tuple[str, str]]) -> str:
    """Named values in a row, those without a value left out."""
    return "; ".join(f"{name} {value}" for name, value in parts if value)


def _sentence(text: str) -> str:
    return f"{upper(text)}." if text else ""


def of_contrast_maps(content: Imaging) -> Iterator[Item]:
    """Where ready-made contrast maps come from: how they were acquired and processed, their authors know."""
    yield Item("Acquisition of the images", cobidas("acquisition"))
    yield Item(
        "Preprocessing and first-level models",
        cobidas("preprocessing"),
        content.contrast_maps,
        "what that program did, with its settings",
    )


def of_scans(settings: Settings, content: Imaging) -> Iterator[Item]:
    """How perfusion scans were acquired and processed."""
    yield from acquisition(content)
    yield from processing(settings, content)


def acquisition(content: Imaging) -> Iterator[Item]:
    """How the perfusion scans were acquired."""

    def column(name: str, unit: str = "") -> str:
        return tallied((row.get(name) for row in content.scans), unit)

    yield Item(
        "Field strength", ASL, _sentence(column("field_strength", "T")), "vendor, model, software release and coil"
    )
    yield Item("Labelling type", f"{ASL}; {CONSENSUS}", _sentence(column("labeling_type")))
    duration = [
        ("labelling duration", column("labeling_duration", "s")),
        ("bolus cut-off", column("bolus_cutoff_technique")),
        ("delay of the bolus cut-off", column("bolus_cutoff_delay", "s")),
    ]
    yield Item("Labelling duration or bolus", f"{ASL}; {CONSENSUS}", _sentence(_labelled(duration)))
    pulsed = any(row.get("labeling_type") == "PASL" for row in content.scans)
    delay = column("post_labeling_delay", "s")
    yield Item(f"Post-labelling delay{' (PASL: inversion time)' * pulsed}", f"{ASL}; {CONSENSUS}", _sentence(delay))
    encoded = " ".join(methods_perfusion.encoded(content.sidecars))
    if encoded:
        yield Item("Time encoding", ASL, encoded, "name of the code, and the protocol that states it")
    yield Item("Labelling plane or slab, gradients, vascular crushing", ASL)
    suppressed = [("suppressed:", column("background_suppression")), ("pulses:", column("suppression_pulses"))]
    yield Item("Background suppression", f"{ASL}; {CONSENSUS}", _sentence(_labelled(suppressed)), "times of the pulses")
    readout = [
        ("repetition time", column("repetition_time", "s")),
        ("echo time", column("echo_time", "s")),
        ("echo times that are summed", column("echo_times", "s")),
    ]
    timed = sum(bool(sidecar["SliceTiming"]) for sidecar in content.sidecars)
    slices = f"slice by slice, with a timing for each slice, in {timed} of {count(len(content.sidecars), 'scan')}"
    yield Item(
        "Readout",
        f"{ASL}; {CONSENSUS}",
        _sentence("; ".join(part for part in (_labelled(readout), slices if timed else "") if part)),
        "2D or 3D sequence, segments, acceleration",
    )
    yield Item("Voxel size and matrix", f"{ASL}; {cobidas('acquisition')}", _sentence(_grid(content.sidecars)))
    yield Item("Repeats acquired", ASL, _sentence(tallied(str(s["NumberOfRepeats"]) for s in content.sidecars)))
    m0 = [("repetition time", column("m0_repetition_time", "s")), ("type", column("m0_type"))]
    calibrated = " ".join(methods_perfusion.magnetisation([sidecar["M0"] for sidecar in content.sidecars]))
    yield Item("M0", f"{ASL}; {CONSENSUS}", " ".join(filter(None, (calibrated, _sentence(_labelled(m0))))))


def _grid(sidecars: Sequence[Sidecar]) -> str:
    """Sizes of voxels and matrices of the scans."""
    grids = [sidecar["Grid"] for sidecar in sidecars]
    sizes = (" x ".join(short(round(size, 3)) for size in own["VoxelSize"]) for own in grids)
    shapes = (" x ".join(map(str, own["Shape"])) for own in grids)
    return _labelled((("voxels", tallied(sizes, "mm")), ("matrix", tallied(shapes))))


def processing(settings: Settings, content: Imaging) -> Iterator[Item]:
    """How CBF was computed, and how images came onto the template."""
    sidecars = content.sidecars
    taken = " ".join(methods_imported.source(content.imported)) if content.imported else ""
    yield Item(
        "Quantification model and constants",
        f"{ASL}; {CONSENSUS}",
        " ".join(
            (
                *methods_perfusion.quantification(sidecars),
                *known_tissue_words.methods(sidecars),
                *own_blood_words.methods(sidecars),
            )
        )
        or taken,
        "model, constants and processing of the program that made the maps" if taken else "",
    )
    if taken:
        yield Item("Smoothing", cobidas("preprocessing"), methods_imported.smoothing(content.imported))
    area = cobidas("preprocessing")
    corrected = (
        "Volumes were rigidly realigned." if settings.perfusion.motion.correct else "Volumes were not realigned."
    )
    if sidecars:
        yield Item("Motion and excluded pairs", area, f"{corrected} {methods_perfusion.repeats(sidecars)}")
        pvc = [sidecar["PartialVolumeCorrection"] for sidecar in sidecars]
        yield Item("Partial-volume correction", ASL, methods_perfusion.partial_volume(pvc))
        yield Item("Susceptibility distortion", area, methods_perfusion.distortion(sidecars))
        fwhm = agreed(methods_perfusion.with_unit(sidecar["TemplateSmoothingFWHM"]) for sidecar in sidecars)
        yield Item("Smoothing", area, f"Gaussian kernel of {fwhm} FWHM, within the brain, in template space.")
    template, fit = settings.template, settings.anatomy.registration
    registered = ""
    imported = methods_anatomy.imported_anatomy(settings, content.scans)
    if imported and derivative_anatomies.REGISTRATION not in imported.own:
        registered = f" Anatomy to template: {imported.program}."
    elif methods_anatomy.has_anatomy(content.scans):
        registered = f" Anatomy to template: {methods_anatomy.registered_by(fit)})."
    yield Item(
        "Template and registration",
        area,
        f"{template.space}{' (own template)' * bool(template.t1w)}, {short(template.resolution)} mm.{registered} "
        f"{methods_perfusion.registered_to(content.scans)}".rstrip(),
    )
    yield Item(
        "Quality control and its rule of exclusion",
        area,
        judgement.in_words(
            settings.quality, rated=settings.quality.ratings is not None, imported=bool(content.imported)
        ),
    )
    software = methods_section.software(content.versions, settings, content.scans)
    yield Item("Software and versions", cobidas("reproducibility"), software or "")


def statistics(settings: Settings, content: Imaging) -> Iterator[Item]:
    """How maps and regions were tested."""
    if not content.blocks:
        return
    area = cobidas("statistical modelling and inference")
    run = {name: block for name, block in content.blocks.items() if block["status"] == "run"}
    name_of = settings.labels.analysis
    models = [f"{name_of(name)}: {_model(block)}" for name, block in content.blocks.items()]
    yield Item("Models of whole-brain analyses", area, _sentence("; ".join(models)))
    yield Item("Search volume", area, _sentence("; ".join(dict.fromkeys(map(_volume, run.values())))))
    tests: dict[str, list[str]] = {}
    for name, block in run.items():
        tests.setdefault(_tested(block), []).append(name_of(name))
    words = [test if len(tests) == 1 else f"{listed(names)}: {test}" for test, names in tests.items()]
    yield Item("Inference: permutations, cluster-forming threshold, correction", area, " ".join(map(_sentence, words)))
    if settings.rois:
        named = listed(settings.labels.region(name) for name in settings.rois)
        yield Item("Regions of interest", area, f"Declared: {named}. {regions_section.method(settings)}")


def _model(block: Block) -> str:
    if block["status"] != "run":
        return str(block["status"])
    return f"{block['model']['formula']} ({count(block['model']['n'], 'participant')})"


def _volume(block: Block) -> str:
    volume = block["search_volume"]
    return f"{volume['definition']} ({count(volume['voxels'], 'voxel')})"


def _tested(block: Block) -> str:
    """How an analysis was tested, in short; the methods have the whole."""
    draws, tests, decided = block["permutation"], block["tests"], block["verdict"]
    cluster = tests["cluster"]
    how = "random field theory" if block["random_fields"] else "no permutation"
    if draws:
        seed = "" if draws["seed"] is None else f", seed {draws['seed']}"
        how = f"{'all ' if draws['exhaustive'] else ''}{draws['number']:,} relabellings{seed}"
    return (
        f"{how}; clusters formed at p < {cluster['forming_p']:g} with {cluster['neighbours']} neighbours; "
        f"{'two' if tests['two_sided'] else 'one'}-sided; {verdict.WORDS[decided['statistic']]} decides, at a "
        f"{decided['error_rate']} of {block['alpha']:g}"
    )
