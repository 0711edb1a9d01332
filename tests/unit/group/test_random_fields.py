"""Random-field p against SPM's printed tables, closed forms and simulated fields."""

import csv
import json

import numpy as np
import pytest
from loading import shared_data
from pharmasl.errors import InputError
from pharmasl.group import random_fields, residual_smoothness
from pharmasl.group.engine import clusters, glm
from pharmasl.statistics import multiplicity
from scipy import ndimage, special, stats


def table(path, **wanted):
    """Rows of SPM's table as numbers, those of one design, contrast and forming p."""
    with open(path, encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return [
        {key: float(value) for key, value in row.items() if key != "design"}
        for row in rows
        if all(row[key] == str(value) for key, value in wanted.items())
    ]


def small(name):
    """The synthetic study that SPM was run on: residuals, fit, mask, affine and what SPM says."""
    folder = shared_data("reference", "group-stats")
    stored = np.load(folder / "small" / "data.npz")
    data = (stored["Y"][:, 1] - stored["Y"][:, 0]).astype(np.float64).T.copy()
    nuisance = np.column_stack([np.ones(15)] + ([stored["design"][:, 2]] if name == "ttc" else []))
    model = glm.partial_form(stored["drug"].astype(float), nuisance)
    rows = residual_smoothness.residual_rows(lambda a, b: data[a:b], np.column_stack([stored["drug"], nuisance]))
    fit = glm.fit(data.copy(), model)
    spm = json.loads((folder / "small_reference" / "spm.json").read_text())
    return rows, model.df, fit, stored["mask"], stored["affine"], {each["design"]: each for each in spm}[name], folder


@pytest.mark.parametrize(
    ("where", "design"),
    [
        *(("small", design) for design in ("tt", "ttc", "ttu", "ff", "flex")),
        *(("full", design) for design in ("tt", "ttc", "ff")),
    ],
)
def test_given_spms_resels_and_fwhm_p_are_spms(where, design):
    folder = shared_data("reference", "group-stats")
    folder = folder / ("small_reference" if where == "small" else "full")
    spm = json.loads((folder / "spm.json").read_text())
    spm = {each["design"]: each for each in spm}[design] if where == "small" else spm[design]
    df, counts, fwhm = spm["erdf"], np.array(spm["R_resels"]), np.array(spm["FWHM_voxels"])
    # Stored with 8 digits for the large set, with 16 for the small one.
    close = 1e-6 if where == "full" else 1e-8
    rows = table(folder / "spm_tables.tsv", design=design)
    assert rows
    for row in rows:
        np.testing.assert_allclose(random_fields.peak_p(row["T"], df, counts, spm["S_voxels"]), row["peak_pFWE"], close)
        if np.isnan(row["k"]):
            continue
        p = random_fields.cluster_p(row["k"], row["u"], df, counts, fwhm)
        np.testing.assert_allclose(p.family_wise, row["cluster_pFWE"], close)
        np.testing.assert_allclose(p.uncorrected, row["cluster_punc"], close)
        if not np.isnan(row["set_c"]):
            p = random_fields.set_p(int(row["set_c"]), row["u"], df, counts)
            np.testing.assert_allclose(p, row["set_p"], close)


def test_of_two_tails_the_sets_number_is_poisson_with_both_tails_expectation():
    counts, threshold, df = [1, 10, 40, 60], 3.5, 25
    expected = float(random_fields.expected_euler_characteristic(threshold, df, counts))
    for number in (1, 3, 8):
        p = random_fields.set_p(number, threshold, df, counts, tails=2)
        assert p == pytest.approx(stats.poisson.sf(number - 1, 2 * expected), rel=1e-10)
    assert random_fields.set_p(0, threshold, df, counts, tails=2) == 1


@pytest.mark.parametrize("forming_p", [0.001, 0.005])
@pytest.mark.parametrize("contrast", [1, 2])
@pytest.mark.parametrize("design", ["tt", "ttc", "flex"])
def test_false_discovery_rates_of_clusters_are_spms(design, contrast, forming_p):
    folder = shared_data("reference", "group-stats") / "small_reference"
    spm = {each["design"]: each for each in json.loads((folder / "spm.json").read_text())}[design]
    rows = table(folder / "spm_tables.tsv", design=design, contrast=contrast, p_forming=forming_p)
    counts, df, threshold = np.array(spm["R_resels"]), spm["erdf"], rows[0]["u"]
    heads = [row for row in rows if not np.isnan(row["k"])]
    p = random_fields.cluster_p([row["k"] for row in heads], threshold, df, counts, spm["FWHM_voxels"]).uncorrected
    np.testing.assert_allclose(multiplicity.q_values(p), [row["cluster_qFDR"] for row in heads], rtol=1e-10)


@pytest.mark.parametrize("name", ["tt", "ttc"])
def test_from_the_data_alone_smoothness_resels_sizes_and_p_are_spms(name):
    rows, df, fit, mask, affine, spm, folder = small(name)
    estimate = residual_smoothness.smoothness(rows, mask, 15)
    # SPM works on float32 maps of the differences.
    np.testing.assert_allclose(estimate.fwhm, spm["FWHM_voxels"], rtol=2e-7)
    counts = random_fields.resels(mask, estimate.fwhm)
    np.testing.assert_allclose(counts, spm["R_resels"], rtol=5e-7)
    inverse, place, lattice = np.linalg.inv(affine), np.full(mask.shape, -1), clusters.Lattice(mask, 18)
    place[mask] = np.arange(mask.sum())
    met = 0
    for contrast, sign in ((1, 1), (2, -1)):
        for forming_p in (0.001, 0.005):
            threshold = float(special.stdtrit(df, 1 - forming_p))
            labels, sizes = clusters.label(np.maximum(sign * fit.t, 0), threshold, lattice)
            rows = table(
                folder / "small_reference" / "spm_tables.tsv", design=name, contrast=contrast, p_forming=forming_p
            )
            heads = [row for row in rows if not np.isnan(row["k"])]
            assert sorted(sizes.tolist()) == sorted(int(row["k"]) for row in heads)
            p = random_fields.cluster_p(sizes, threshold, df, counts, estimate.fwhm)
            for row in heads:
                where = inverse[:3, :3] @ [row["x"], row["y"], row["z"]] + inverse[:3, 3]
                voxel = place[tuple(np.rint(where).astype(int))]
                which = labels[voxel] - 1
                assert sizes[which] == row["k"]
                assert abs(p.family_wise[which] / row["cluster_pFWE"] - 1) < 3e-6
                peak = random_fields.peak_p(sign * fit.t[voxel], df, counts, int(mask.sum()))
                assert abs(peak / row["peak_pFWE"] - 1) < 1e-5
                met += 1
    assert met > 40


def test_smoothness_of_fields_of_known_width():
    # Fourier-filtered noise has the Gaussian correlation exactly; forward differences over a voxel see
    # 2 (1 - exp(-d^2 / (4 s^2))) of its roughness instead of d^2 / (2 s^2).
    rng = np.random.default_rng(4)
    shape, sigma = (40, 36, 32), np.array([2.0, 2.5, 1.8])
    frequencies = np.meshgrid(*(2 * np.pi * np.fft.fftfreq(n) for n in shape), indexing="ij")
    gain = np.exp(-0.5 * sum((s * f) ** 2 for s, f in zip(sigma, frequencies)))
    fields = np.stack([np.fft.ifftn(np.fft.fftn(rng.normal(size=shape)) * gain).real for _ in range(40)])
    mask = np.ones(shape, bool)
    residuals = fields.reshape(40, -1).T.copy()
    residuals -= residuals.mean(axis=1, keepdims=True)
    estimate = residual_smoothness.smoothness(residuals, mask, 40)
    expected = np.sqrt(4 * np.log(2) / (2 * (1 - np.exp(-1 / (4 * sigma**2)))))
    np.testing.assert_allclose(estimate.fwhm, expected, rtol=0.02)
    assert estimate.voxels == 39 * 35 * 31
    assert estimate.images == 40


def test_a_rows_scale_and_images_left_out_do_not_matter_to_the_estimate():
    rng = np.random.default_rng(5)
    mask = np.ones((14, 12, 10), bool)
    residuals = ndimage.gaussian_filter(rng.normal(size=(100, *mask.shape)), (0, 1.5, 1.5, 1.5)).reshape(100, -1).T
    scaled = residuals * rng.uniform(0.1, 9, (residuals.shape[0], 1))
    whole = residual_smoothness.smoothness(residuals.copy(), mask, 100, most=100)
    np.testing.assert_allclose(residual_smoothness.smoothness(scaled, mask, 100, most=100).fwhm, whole.fwhm, rtol=1e-12)
    fewer = residual_smoothness.smoothness(residuals.copy(), mask, 100, most=64)
    assert fewer.images == 64
    np.testing.assert_allclose(fewer.fwhm, whole.fwhm, rtol=0.03)


def test_a_voxel_without_residuals_is_as_one_outside_the_mask():
    rng = np.random.default_rng(6)
    mask = np.ones((9, 8, 7), bool)
    data = ndimage.gaussian_filter(rng.normal(size=(20, *mask.shape)), (0, 1.5, 1.5, 1.5)).reshape(20, -1).T + 50
    data[200] = 50.0
    rows = residual_smoothness.residual_rows(lambda a, b: data[a:b], np.ones((20, 1)))
    found = residual_smoothness.smoothness(rows, mask, 20)
    mask.flat[200] = False
    without = np.delete(data, 200, axis=0)
    expected = residual_smoothness.smoothness(without - without.mean(axis=1, keepdims=True), mask, 20)
    assert found.voxels == expected.voxels == 8 * 7 * 6 - 8
    np.testing.assert_allclose(found.fwhm, expected.fwhm, rtol=1e-10)


def test_resels_of_a_box_are_its_intrinsic_volumes():
    mask = np.zeros((12, 9, 8), bool)
    mask[1:11, 2:8, 3:7] = True
    a, b, c = 9 / 2.0, 5 / 3.0, 3 / 4.0
    np.testing.assert_allclose(
        random_fields.resels(mask, [2, 3, 4]), [1, a + b + c, a * b + a * c + b * c, a * b * c], rtol=1e-12
    )
    mask[5, 4, 5] = False
    # A cavity adds one to the Euler characteristic.
    assert random_fields.resels(mask, [2, 3, 4])[0] == 2
    slab = np.zeros((12, 9, 8), bool)
    slab[2:6, 2:5, 4] = True
    np.testing.assert_allclose(random_fields.resels(slab, [1, 1, 1]), [1, 5, 6, 0])


def test_densities_become_those_of_a_gaussian_field():
    z = np.array([2.0, 3.1, 4.5])
    a = 4 * np.log(2)
    fall = np.exp(-(z**2) / 2)
    gaussian = [
        stats.norm.sf(z),
        a**0.5 / (2 * np.pi) * fall,
        a / (2 * np.pi) ** 1.5 * z * fall,
        a**1.5 / (2 * np.pi) ** 2 * (z**2 - 1) * fall,
    ]
    np.testing.assert_allclose(random_fields.ec_densities(z, 1e8), gaussian, rtol=1e-5)


def test_the_bound_of_bonferroni_is_taken_where_the_field_is_rough():
    counts = random_fields.resels(np.ones((10, 10, 10), bool), [0.3, 0.3, 0.3])
    assert random_fields.peak_p(5.0, 30, counts, 1000) == pytest.approx(1000 * stats.t.sf(5, 30), rel=1e-10)
    assert random_fields.peak_p(-2.0, 30, counts, 1000) == 1


def test_family_wise_error_of_peaks_is_at_most_nominal_and_near_it():
    """300 null studies of smooth fields: the corrected 5 % level rejects no more than 5 % and not far less."""
    rng = np.random.default_rng(8)
    n, mask = 18, np.ones((14, 14, 14), bool)
    fwhm = np.full(3, np.sqrt(4 * np.log(2) / (2 * (1 - np.exp(-1 / (4 * 1.8**2))))))
    counts, hits = random_fields.resels(mask, fwhm), 0
    for _ in range(300):
        noise = rng.normal(size=(n, 20, 20, 20)).astype(np.float32)
        fields = ndimage.gaussian_filter(noise, (0, 1.8, 1.8, 1.8), mode="wrap")[:, :14, :14, :14].reshape(n, -1)
        t = fields.mean(axis=0) / (fields.std(axis=0, ddof=1) / np.sqrt(n))
        hits += random_fields.peak_p(t.max(), n - 1, counts, mask.sum()) <= 0.05
    rate, error = hits / 300, np.sqrt(0.05 * 0.95 / 300)
    assert 0.01 < rate < 0.05 + 2.576 * error, rate


def test_a_small_volume_has_smaller_p_and_one_that_is_not_covered_is_refused():
    mask = np.zeros((30, 30, 30), bool)
    mask[2:28, 2:28, 2:28] = True
    roi = np.zeros_like(mask)
    roi[:12, 5:15, 5:15] = True
    counts, voxels = random_fields.small_volume(mask, roi, [3, 3, 3])
    assert voxels == 10 * 10 * 10
    np.testing.assert_allclose(counts, random_fields.resels(np.ones((10, 10, 10), bool), [3, 3, 3]))
    whole = random_fields.resels(mask, [3, 3, 3])
    assert random_fields.peak_p(4.5, 30, counts, voxels) < random_fields.peak_p(4.5, 30, whole, mask.sum())
    with pytest.raises(InputError, match="none in the search volume"):
        random_fields.small_volume(mask, ~mask, [3, 3, 3])


def test_what_cannot_be_computed_is_refused_and_doubts_are_named():
    slab = np.zeros((8, 8, 8), bool)
    slab[:, :, 3] = True
    with pytest.raises(InputError, match="two voxels thick"):
        residual_smoothness.smoothness(np.random.default_rng(0).normal(size=(64, 9)), slab, 9)
    with pytest.raises(InputError, match="permutation"):
        random_fields.cluster_p(10, 0.5, 20, [1, 10, 30, 40], [3, 3, 3])
    assert random_fields.doubts([3.1, 3.2, 3.3], 0.001, 40) == []
    assert len(random_fields.doubts([2.1, 3.2, 3.3], 0.005, 12)) == 3


def test_of_a_volume_with_holes_and_few_resels_there_is_no_p_of_clusters_and_bonferronis_of_peaks():
    counts, df, t = np.array([-2, 0.0692, 0.00141, 5.45e-6]), 2, 22.327
    assert random_fields.expected_euler_characteristic(t, df, counts) < 0
    assert random_fields.peak_p(t, df, counts, 500) == pytest.approx(500 * stats.t.sf(t, df))
    with pytest.raises(InputError, match="expects more than none") as caught:
        random_fields.cluster_p(np.array([3.0]), t, df, counts, np.full(3, 30.0))
    assert "-2, 0.0692, 0.00141, 5.45e-06" in str(caught.value.found)
