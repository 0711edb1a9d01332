"""The references that methods cite: found in a text by how they are cited, listed, and written as BibTeX.

A text cites by authors and year, "Alsop et al. 2015"; only what a study's own text cites is listed. Details were checked against
the publishers' records or other lists of references; an entry without a volume has none that was checked.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A reference.

    Attributes
    ----------
    key : str
        Of BibTeX, and of the anchor on the page.
    cited : str
        How a text cites it.
    authors : str
        As BibTeX has them, "and others" last where the list is cut.
    title, where : str
        ``where`` is the journal, with volume and pages where known.
    doi : str
    """

    key: str
    cited: str
    authors: str
    title: str
    where: str
    doi: str

    @property
    def year(self) -> str:
        """The year, as cited."""
        return self.cited[-4:]

    @property
    def url(self) -> str:
        """Where the DOI leads."""
        return f"https://doi.org/{self.doi}"

    @property
    def text(self) -> str:
        """The entry of a list, without the DOI."""
        people = self.authors.replace(" and others", " et al.").replace(" and ", "; ")
        return f"{people} ({self.year}). {self.title}. {self.where}."

    @property
    def bibtex(self) -> str:
        """The entry of BibTeX."""
        parts = re.fullmatch(r"(.*?) (\d+):([\w\u2013-]+)", self.where)
        journal = parts[1] if parts else self.where
        fields = {"author": self.authors, "title": f"{{{self.title}}}", "journal": journal}
        if parts:
            fields |= {"volume": parts[2], "pages": parts[3].replace("\u2013", "--")}
        fields |= {"year": self.year, "doi": self.doi}
        lines = "".join(f"  {name} = {{{value.replace('&', chr(92) + '&')}}},\n" for name, value in fields.items())
        return f"@article{{{self.key},\n{lines}}}\n"


def _reference(cited: str, authors: str, title: str, where: str, doi: str) -> Reference:
    key = cited.split()[0].lower().replace("\u00f6", "o") + cited[-4:]
    return Reference(key=key, cited=cited, authors=authors, title=title, where=where, doi=doi)


REFERENCES = (
    _reference(
        "Abraham et al. 2014",
        "Abraham, A. and Pedregosa, F. and Eickenberg, M. and others",
        "Machine learning for neuroimaging with scikit-learn",
        "Frontiers in Neuroinformatics 8:14",
        "10.3389/fninf.2014.00014",
    ),
    _reference(
        "Adebimpe et al. 2022",
        "Adebimpe, A. and Bertolero, M. and Dolui, S. and others",
        "ASLPrep: a platform for processing of arterial spin labeled MRI and quantification of regional brain perfusion",
        "Nature Methods 19:683\u2013686",
        "10.1038/s41592-022-01458-7",
    ),
    _reference(
        "Alsop et al. 2015",
        "Alsop, D. C. and Detre, J. A. and Golay, X. and others",
        "Recommended implementation of arterial spin-labeled perfusion MRI for clinical applications: a consensus of the ISMRM "
        "Perfusion Study Group and the European consortium for ASL in dementia",
        "Magnetic Resonance in Medicine 73:102\u2013116",
        "10.1002/mrm.25197",
    ),
    _reference(
        "Andersson et al. 2003",
        "Andersson, J. L. R. and Skare, S. and Ashburner, J.",
        "How to correct susceptibility distortions in spin-echo echo-planar images: application to diffusion tensor imaging",
        "NeuroImage 20:870\u2013888",
        "10.1016/S1053-8119(03)00336-7",
    ),
    _reference(
        "Asllani et al. 2008",
        "Asllani, I. and Borogovac, A. and Brown, T. R.",
        "Regression algorithm correcting for partial volume effects in arterial spin labeling MRI",
        "Magnetic Resonance in Medicine 60:1362\u20131371",
        "10.1002/mrm.21670",
    ),
    _reference(
        "Avants et al. 2008",
        "Avants, B. B. and Epstein, C. L. and Grossman, M. and Gee, J. C.",
        "Symmetric diffeomorphic image registration with cross-correlation: evaluating automated labeling of elderly and "
        "neurodegenerative brain",
        "Medical Image Analysis 12:26\u201341",
        "10.1016/j.media.2007.06.004",
    ),
    _reference(
        "Barnard and Rubin 1999",
        "Barnard, J. and Rubin, D. B.",
        "Small-sample degrees of freedom with multiple imputation",
        "Biometrika 86:948\u2013955",
        "10.1093/biomet/86.4.948",
    ),
    _reference(
        "Benjamini and Hochberg 1995",
        "Benjamini, Y. and Hochberg, Y.",
        "Controlling the false discovery rate: a practical and powerful approach to multiple testing",
        "Journal of the Royal Statistical Society: Series B 57:289\u2013300",
        "10.1111/j.2517-6161.1995.tb02031.x",
    ),
    _reference(
        "Bland and Altman 1999",
        "Bland, J. M. and Altman, D. G.",
        "Measuring agreement in method comparison studies",
        "Statistical Methods in Medical Research 8:135\u2013160",
        "10.1177/096228029900800204",
    ),
    _reference(
        "Buxton et al. 1998",
        "Buxton, R. B. and Frank, L. R. and Wong, E. C. and others",
        "A general kinetic model for quantitative perfusion imaging with arterial spin labeling",
        "Magnetic Resonance in Medicine 40:383\u2013396",
        "10.1002/mrm.1910400308",
    ),
    _reference(
        "Carkeet 2015",
        "Carkeet, A.",
        "Exact parametric confidence intervals for Bland-Altman limits of agreement",
        "Optometry and Vision Science 92:e71\u2013e80",
        "10.1097/OPX.0000000000000513",
    ),
    _reference(
        "Dolui et al. 2017",
        "Dolui, S. and Wang, Z. and Shinohara, R. T. and Wolk, D. A. and Detre, J. A.",
        "Structural Correlation-based Outlier Rejection (SCORE) algorithm for arterial spin labeling time series",
        "Journal of Magnetic Resonance Imaging 45:1786\u20131797",
        "10.1002/jmri.25436",
    ),
    _reference(
        "Dolui et al. 2024",
        "Dolui, S. and others",
        "Automated quality evaluation index for arterial spin labeling derived cerebral blood flow maps",
        "Journal of Magnetic Resonance Imaging",
        "10.1002/jmri.29308",
    ),
    _reference(
        "Esteban et al. 2019",
        "Esteban, O. and Markiewicz, C. J. and Blair, R. W. and others",
        "fMRIPrep: a robust preprocessing pipeline for functional MRI",
        "Nature Methods 16:111\u2013116",
        "10.1038/s41592-018-0235-4",
    ),
    _reference(
        "Fisch et al. 2024",
        "Fisch, L. and others",
        "deepbet: Fast brain extraction of T1-weighted MRI using convolutional neural networks",
        "Computers in Biology and Medicine 179:108845",
        "10.1016/j.compbiomed.2024.108845",
    ),
    _reference(
        "Fonov et al. 2011",
        "Fonov, V. and Evans, A. C. and Botteron, K. and Almli, C. R. and McKinstry, R. C. and Collins, D. L.",
        "Unbiased average age-appropriate atlases for pediatric studies",
        "NeuroImage 54:313\u2013327",
        "10.1016/j.neuroimage.2010.07.033",
    ),
    _reference(
        "Freedman and Lane 1983",
        "Freedman, D. and Lane, D.",
        "A nonstochastic interpretation of reported significance levels",
        "Journal of Business & Economic Statistics 1:292\u2013298",
        "10.2307/1391660",
    ),
    _reference(
        "Harris et al. 2020",
        "Harris, C. R. and Millman, K. J. and van der Walt, S. J. and others",
        "Array programming with NumPy",
        "Nature 585:357\u2013362",
        "10.1038/s41586-020-2649-2",
    ),
    _reference(
        "Hernandez-Garcia et al. 2010",
        "Hernandez-Garcia, L. and Jahanian, H. and Rowe, D. B.",
        "Quantitative analysis of arterial spin labeling FMRI data using a general linear model",
        "Magnetic Resonance Imaging 28:919\u2013927",
        "10.1016/j.mri.2010.03.035",
    ),
    _reference(
        "Kenward and Roger 1997",
        "Kenward, M. G. and Roger, J. H.",
        "Small sample inference for fixed effects from restricted maximum likelihood",
        "Biometrics 53:983\u2013997",
        "10.2307/2533558",
    ),
    _reference(
        "Koenker 1981",
        "Koenker, R.",
        "A note on studentizing a test for heteroscedasticity",
        "Journal of Econometrics 17:107\u2013112",
        "10.1016/0304-4076(81)90062-2",
    ),
    _reference(
        "Lam et al. 2015",
        "Lam, S. K. and Pitrou, A. and Seibert, S.",
        "Numba: a LLVM-based Python JIT compiler",
        "Proceedings of the Second Workshop on the LLVM Compiler Infrastructure in HPC",
        "10.1145/2833157.2833162",
    ),
    _reference(
        "Liu and Wong 2005",
        "Liu, T. T. and Wong, E. C.",
        "A signal processing model for arterial spin labeling functional MRI",
        "NeuroImage",
        "10.1016/j.neuroimage.2004.09.047",
    ),
    _reference(
        "MacKinnon and White 1985",
        "MacKinnon, J. G. and White, H.",
        "Some heteroskedasticity-consistent covariance matrix estimators with improved finite sample properties",
        "Journal of Econometrics 29:305\u2013325",
        "10.1016/0304-4076(85)90158-7",
    ),
    _reference(
        "McKinney 2010",
        "McKinney, W.",
        "Data structures for statistical computing in Python",
        "Proceedings of the 9th Python in Science Conference",
        "10.25080/Majora-92bf1922-00a",
    ),
    _reference(
        "M\u00f6lder et al. 2021",
        "M\u00f6lder, F. and Jablonski, K. P. and Letcher, B. and others",
        "Sustainable data analysis with Snakemake",
        "F1000Research 10:33",
        "10.12688/f1000research.29032.2",
    ),
    _reference(
        "Mumford et al. 2006",
        "Mumford, J. A. and Hernandez-Garcia, L. and Lee, G. R. and Nichols, T. E.",
        "Estimation efficiency and statistical power in arterial spin labeling fMRI",
        "NeuroImage 33:103\u2013114",
        "10.1016/j.neuroimage.2006.05.040",
    ),
    _reference(
        "Mutsaerts et al. 2017",
        "Mutsaerts, H. J. M. M. and others",
        "The spatial coefficient of variation in arterial spin labeling cerebral blood flow images",
        "Journal of Cerebral Blood Flow & Metabolism",
        "10.1177/0271678X16683690",
    ),
    _reference(
        "Mutsaerts et al. 2020",
        "Mutsaerts, H. J. M. M. and Petr, J. and Groot, P. and others",
        "ExploreASL: an image processing pipeline for multi-center ASL perfusion MRI studies",
        "NeuroImage 219:117031",
        "10.1016/j.neuroimage.2020.117031",
    ),
    _reference(
        "Posse et al. 1999",
        "Posse, S. and Wiese, S. and Gembris, D. and others",
        "Enhancement of BOLD-contrast sensitivity by single-shot multi-echo functional MR imaging",
        "Magnetic Resonance in Medicine 42:87\u201397",
        "10.1002/(SICI)1522-2594(199907)42:1%3C87::AID-MRM13%3E3.0.CO;2-O",
    ),
    _reference(
        "Power et al. 2012",
        "Power, J. D. and Barnes, K. A. and Snyder, A. Z. and Schlaggar, B. L. and Petersen, S. E.",
        "Spurious but systematic correlations in functional connectivity MRI networks arise from subject motion",
        "NeuroImage 59:2142\u20132154",
        "10.1016/j.neuroimage.2011.10.018",
    ),
    _reference(
        "Rolls et al. 2020",
        "Rolls, E. T. and Huang, C.-C. and Lin, C.-P. and Feng, J. and Joliot, M.",
        "Automated anatomical labelling atlas 3",
        "NeuroImage 206:116189",
        "10.1016/j.neuroimage.2019.116189",
    ),
    _reference(
        "Schuirmann 1987",
        "Schuirmann, D. J.",
        "A comparison of the two one-sided tests procedure and the power approach for assessing the equivalence of average "
        "bioavailability",
        "Journal of Pharmacokinetics and Biopharmaceutics 15:657\u2013680",
        "10.1007/BF01068419",
    ),
    _reference(
        "Seabold and Perktold 2010",
        "Seabold, S. and Perktold, J.",
        "statsmodels: econometric and statistical modeling with Python",
        "Proceedings of the 9th Python in Science Conference",
        "10.25080/Majora-92bf1922-011",
    ),
    _reference(
        "Shirzadi et al. 2018",
        "Shirzadi, Z. and Stefanovic, B. and Chappell, M. A. and others",
        "Enhancement of automated blood flow estimates (ENABLE) from arterial spin-labeled MRI",
        "Journal of Magnetic Resonance Imaging",
        "10.1002/jmri.25807",
    ),
    _reference(
        "Shrout and Fleiss 1979",
        "Shrout, P. E. and Fleiss, J. L.",
        "Intraclass correlations: uses in assessing rater reliability",
        "Psychological Bulletin 86:420\u2013428",
        "10.1037/0033-2909.86.2.420",
    ),
    _reference(
        "Simonsohn et al. 2020",
        "Simonsohn, U. and Simmons, J. P. and Nelson, L. D.",
        "Specification curve analysis",
        "Nature Human Behaviour 4:1208\u20131214",
        "10.1038/s41562-020-0912-z",
    ),
    _reference(
        "Smith and Nichols 2009",
        "Smith, S. M. and Nichols, T. E.",
        "Threshold-free cluster enhancement: addressing problems of smoothing, threshold dependence and localisation in cluster "
        "inference",
        "NeuroImage 44:83\u201398",
        "10.1016/j.neuroimage.2008.03.061",
    ),
    _reference(
        "Tustison et al. 2010",
        "Tustison, N. J. and Avants, B. B. and Cook, P. A. and Zheng, Y. and Egan, A. and Yushkevich, P. A. and Gee, J. C.",
        "N4ITK: improved N3 bias correction",
        "IEEE Transactions on Medical Imaging 29:1310\u20131320",
        "10.1109/TMI.2010.2046908",
    ),
    _reference(
        "Virtanen et al. 2020",
        "Virtanen, P. and Gommers, R. and Oliphant, T. E. and others",
        "SciPy 1.0: fundamental algorithms for scientific computing in Python",
        "Nature Methods 17:261\u2013272",
        "10.1038/s41592-019-0686-2",
    ),
    _reference(
        "Weerahandi 1993",
        "Weerahandi, S.",
        "Generalized confidence intervals",
        "Journal of the American Statistical Association 88:899\u2013905",
        "10.1080/01621459.1993.10476355",
    ),
    _reference(
        "Winkler et al. 2014",
        "Winkler, A. M. and Ridgway, G. R. and Webster, M. A. and Smith, S. M. and Nichols, T. E.",
        "Permutation inference for the general linear model",
        "NeuroImage 92:381\u2013397",
        "10.1016/j.neuroimage.2014.01.060",
    ),
    _reference(
        "Woods et al. 2024",
        "Woods, J. G. and others",
        "Recommendations for quantitative cerebral perfusion MRI using multi-timepoint arterial spin labeling: acquisition, "
        "quantification, and clinical applications",
        "Magnetic Resonance in Medicine",
        "10.1002/mrm.30091",
    ),
    _reference(
        "Yushkevich et al. 2016",
        "Yushkevich, P. A. and Pluta, J. and Wang, H. and Wisse, L. E. M. and Das, S. and Wolk, D.",
        "Fast automatic segmentation of hippocampal subfields and medial temporal lobe subregions in 3 Tesla and 7 Tesla T2-weighted "
        "MRI",
        "Alzheimer's & Dementia 12:P126\u2013P127",
        "10.1016/j.jalz.2016.06.205",
    ),
)


def citation(reference: Reference) -> re.Pattern[str]:
    """A pattern of how a text may cite a reference: "A and B 1995", "A and B (1995)", "A & B 1995"."""
    people = re.escape(reference.cited[:-5]).replace(r"\ and\ ", r"\ (?:and|&)\ ")
    return re.compile(rf"\b{people} (?:{reference.year}\b|\({reference.year}\))")


def cited_in(texts: Iterable[str]) -> list[Reference]:
    """The references that texts cite, in the order in which they are first cited: their numbers.

    Parameters
    ----------
    texts : iterable of str

    Returns
    -------
    list of Reference
    """
    whole = "\n".join(texts)
    places = {}
    for reference in REFERENCES:
        if place := citation(reference).search(whole):
            places[reference] = place.start()
    return sorted(places, key=lambda reference: places[reference])


def linked(text: str, references: Sequence[Reference]) -> Markup:
    """A text as HTML, escaped, each citation with its number and a link to its entry in the list.

    Parameters
    ----------
    text : str
    references : sequence of Reference
        In their order, as :func:`cited_in` gives them.
    """
    html = str(escape(text))
    for number, reference in enumerate(references, start=1):
        pattern = citation(reference).pattern.replace("&", "&amp;")
        html = re.sub(pattern, rf'<a href="#ref-{reference.key}">\g<0> [{number}]</a>', html)
    return Markup(html)


def bibliography(references: Iterable[Reference]) -> str:
    """References as a BibTeX file."""
    return "\n".join(reference.bibtex for reference in references)
