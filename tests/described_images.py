"""What the JSON files beside the images of a results folder leave open, for readers of BIDS."""

import json
import re
from pathlib import Path
from urllib.parse import unquote

from pharmasl.workflow import image_kinds

# Images without a unit: labels, masks, and intensities of a scanner.
UNITLESS = re.compile(r"_(mask|dseg|T1w|aslref|asl)\.nii\.gz$")
# Images that are a space of their own.
REFERENCES = re.compile(r"/perf/[^/]*_aslref\.|/anat/(?![^/]*_space-)[^/]*_desc-preproc_T1w\.")


def faults(results, is_removed=lambda path: False):
    """Each fault of a folder's images and sidecars once, as "path: what".

    Parameters
    ----------
    results : pathlib.Path
    is_removed : callable
        Says of a path below the folder whether the file is removed once the run has used it: it may be a source all the same.
    """
    results = Path(results).resolve()
    links = json.loads((results / "dataset_description.json").read_text())["DatasetLinks"]
    datasets = {"": results} | {name: (results / place).resolve() for name, place in links.items()}
    images = sorted(results.rglob("*.nii.gz"))
    assert images
    wrong = []
    for image in images:
        place = image.relative_to(results).as_posix()
        sidecar = image.with_name(image.name.removesuffix(".nii.gz") + ".json")
        if not sidecar.is_file():
            wrong.append(f"{place}: no sidecar")
            continue
        content = json.loads(sidecar.read_text())
        wrong += [f"{place}: {what}" for what in _faults(place, content, datasets, is_removed)]
    return wrong


def _faults(place, content, datasets, is_removed):
    if not content.get("Description"):
        yield "no Description"
    if not content.get("Units") and not UNITLESS.search(place):
        yield "no Units"
    reference = content.get("SpatialReference")
    if reference is None and not REFERENCES.search(f"/{place}"):
        yield "no SpatialReference"
    if not content.get("Sources") and not content.get("OtherSources"):
        yield "no Sources"
    for uri in [*content.get("Sources", ()), *([reference] if reference else [])]:
        parts = re.fullmatch(r"bids:([a-zA-Z0-9]*):([^/].*)", uri)
        if parts is None or parts[1] not in datasets:
            yield f"{uri} is no BIDS URI of these datasets"
            continue
        path = unquote(parts[2])
        if not (datasets[parts[1]] / path).is_file() and not (parts[1] == "" and is_removed(path)):
            yield f"{uri} does not exist"
    for name in content.get("OtherSources", ()):
        if "/" in name:
            yield f"{name} is a path"
    text = json.dumps(content)
    if re.search(r'"(/|\.\./|~)[^"]*"', text) or str(datasets[""]) in text:
        yield "a path of this machine"
    if re.search(r"/(perf|anat|contrasts)/", f"/{place}") and "_space-" in place and "Space" not in content:
        yield "no Space"
    image_kinds.kind_of(place)
