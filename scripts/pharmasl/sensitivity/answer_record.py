"""An answer under one specification, as ``answers.json`` holds it."""

from dataclasses import dataclass

from pharmasl.sensitivity.specification_fit import Kind


@dataclass(frozen=True, kw_only=True)
class WholeBrain:
    """The whole-brain test of the same question.

    Attributes
    ----------
    p_fwe_cluster_in_region : float or None
        Family-wise corrected p of the most significant cluster that reaches into the region; None without one.
    p_fwe_cluster_smallest : float or None
        Smallest family-wise corrected p of a cluster; None without one.
    p_fwe_voxel_smallest : float
        Smallest family-wise corrected p of a voxel.
    sign_in_region : int or None
        Sign of the effect in that cluster: 1 or -1.
    """

    p_fwe_cluster_in_region: float | None
    p_fwe_cluster_smallest: float | None
    p_fwe_voxel_smallest: float | None
    sign_in_region: int | None


@dataclass(frozen=True, kw_only=True)
class AnswerRecord:
    """An answer, and the numbers that it is computed from.

    Attributes
    ----------
    answer : str
        Name of the question.
    kind : {"effect", "correlation"}
        Whether the answer is the coefficient of ``tested`` or its partial correlation with the response.
    unit : str
    meaning : str
        What a positive answer means.
    roi, contrast : str
    analysis : str or None
    defined_by_same_data : bool
        Whether the region is a cluster of an analysis of this trial.
    status : str
        ``run``, or why there is no answer.
    participants : list of str, length n
    response, tested : list of float, length n
    nuisance : list of list of float, n x k
    exchange : {"permute", "flip"}
    blocks : list of int, length n, or None
        Exchangeability blocks.
    whole_brain : WholeBrain or None
    """

    answer: str
    kind: Kind
    unit: str
    meaning: str | None
    roi: str
    contrast: str
    analysis: str | None
    defined_by_same_data: bool
    status: str
    participants: list[str]
    response: list[float]
    tested: list[float]
    nuisance: list[list[float]]
    exchange: str
    blocks: list[int] | None
    whole_brain: WholeBrain | None
