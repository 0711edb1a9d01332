"""The equation of CBF as a page typesets it: MathML, which browsers draw without a font or a request, and its symbols.

The equations are those that the sidecars name (:mod:`pharmasl.perfusion.kinetics`); symbols are those of Alsop et al. 2015.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from markupsafe import Markup

from pharmasl.perfusion import kinetics


def _sub(symbol: str, index: str) -> str:
    """A symbol with an upright index."""
    return f'<msub><mi>{symbol}</mi><mi mathvariant="normal">{index}</mi></msub>'


# Name of a constant in a sidecar to its symbol, in MathML.
SYMBOLS: Mapping[str, str] = MappingProxyType(
    {
        "post_labeling_delay": '<mi mathvariant="normal">PLD</mi>',
        "labeling_duration": "<mi>τ</mi>",
        "bolus_duration": _sub("TI", "1"),
        "labeling_efficiency": "<mi>α</mi>",
        "t1_blood": _sub("T", "1,blood"),
        "partition_coefficient": "<mi>λ</mi>",
    }
)
MINUS = "<mo>−</mo>"
_M0 = _sub("M", "0")
_DELTA = '<mrow><mi mathvariant="normal">Δ</mi><mi>M</mi></mrow>'
_CBF = '<mi mathvariant="normal">CBF</mi><mo>=</mo>'


def _exp(power: str) -> str:
    return f"<msup><mi>e</mi><mrow>{power}</mrow></msup>"


def _over(above: str, below: str) -> str:
    return f"<mfrac><mrow>{above}</mrow><mrow>{below}</mrow></mfrac>"


def _ratio(name: str) -> str:
    """A duration over T1 of blood, in one line: it is a power."""
    return f"{SYMBOLS[name]}<mo>/</mo>{SYMBOLS['t1_blood']}"


_ABOVE = f"<mn>6000</mn><mo>⋅</mo>{SYMBOLS['partition_coefficient']}<mo>⋅</mo>{_DELTA}<mo>⋅</mo>{_exp(_ratio('post_labeling_delay'))}"


_EMPTY = Markup("")


@dataclass(frozen=True, kw_only=True)
class Formula:
    """A model of the signal.

    Attributes
    ----------
    name : str
        What it is called in a sentence.
    spoken : str
        The equation in one line, for those who hear the page; empty where there is none.
    mathml : Markup
        Not escaped by a template; empty where there is none.
    """

    name: str
    spoken: str = ""
    mathml: Markup = _EMPTY


def _formula(name: str, spoken: str, body: str) -> Formula:
    # What is spoken stands beside the formula for readers of the screen, so that the formula itself carries no label.
    return Formula(name=name, spoken=spoken, mathml=Markup(f'<math display="block">{_CBF}{body}</math>'))


_CONTINUOUS = _formula(
    "the single-delay model of (pseudo-)continuous labelling",
    "CBF = 6000 × λ × ΔM × exp(PLD / T1,blood) / (2 × α × T1,blood × M0 × (1 − exp(−τ / T1,blood)))",
    _over(
        _ABOVE,
        f"<mn>2</mn><mo>⋅</mo>{SYMBOLS['labeling_efficiency']}<mo>⋅</mo>{SYMBOLS['t1_blood']}<mo>⋅</mo>{_M0}<mo>⋅</mo>"
        f"<mrow><mo>(</mo><mn>1</mn><mo>−</mo>{_exp(MINUS + _ratio('labeling_duration'))}<mo>)</mo></mrow>",
    ),
)
_PULSED = _formula(
    "the single-delay model of pulsed labelling",
    "CBF = 6000 × λ × ΔM × exp(PLD / T1,blood) / (2 × α × TI1 × M0)",
    _over(
        _ABOVE,
        f"<mn>2</mn><mo>⋅</mo>{SYMBOLS['labeling_efficiency']}<mo>⋅</mo>{SYMBOLS['bolus_duration']}<mo>⋅</mo>{_M0}",
    ),
)


_TRANSIT, _TISSUE = '<mi mathvariant="normal">ATT</mi>', _sub("T", "1,tissue")
_SUM = "<mo>+</mo>"


def _known(name: str, spoken: str, delivered: str) -> Formula:
    above = f"<mn>6000</mn><mo>⋅</mo>{SYMBOLS['partition_coefficient']}<mo>⋅</mo>{_DELTA}"
    below = f"<mn>2</mn><mo>⋅</mo>{SYMBOLS['labeling_efficiency']}<mo>⋅</mo>{_M0}<mo>⋅</mo>"
    decayed = _exp(f"{MINUS}{_TRANSIT}<mo>/</mo>{SYMBOLS['t1_blood']}")
    return _formula(name, spoken, _over(above, f"{below}{decayed}<mo>⋅</mo>{delivered}"))


def _bracketed(inner: str) -> str:
    return f"<mrow><mo>(</mo>{inner}<mo>)</mo></mrow>"


_PLD, _TAU, _BOLUS = (SYMBOLS[name] for name in ("post_labeling_delay", "labeling_duration", "bolus_duration"))
_SINCE = f"{_PLD}{MINUS}{_TRANSIT}"
_NOT_BEFORE = f"<mi>max</mi>{_bracketed(f'{_SINCE}<mo>,</mo><mn>0</mn>')}"
_KNOWN_CONTINUOUS = _known(
    "the general kinetic model of (pseudo-)continuous labelling with a known arterial transit time (ATT)",
    "CBF = 6000 × λ × ΔM / (2 × α × M0 × exp(−ATT / T1,blood) × T1,tissue × (exp(−max(PLD − ATT, 0) / T1,tissue) − "
    "exp(−(PLD + τ − ATT) / T1,tissue)))",
    _TISSUE
    + "<mo>⋅</mo>"
    + _bracketed(
        _exp(f"{MINUS}{_NOT_BEFORE}<mo>/</mo>{_TISSUE}")
        + MINUS
        + _exp(f"{MINUS}{_bracketed(f'{_PLD}{_SUM}{_TAU}{MINUS}{_TRANSIT}')}<mo>/</mo>{_TISSUE}")
    ),
)
_RATE = _bracketed(f"<mn>1</mn><mo>/</mo>{_TISSUE}{MINUS}<mn>1</mn><mo>/</mo>{SYMBOLS['t1_blood']}")
_INFLOW = f"<mi>min</mi>{_bracketed(f'{_BOLUS}<mo>,</mo>{_SINCE}')}"
_KNOWN_PULSED = _known(
    "the general kinetic model of pulsed labelling with a known arterial transit time (ATT)",
    "CBF = 6000 × λ × ΔM / (2 × α × M0 × exp(−ATT / T1,blood) × exp(−(PLD − ATT) / T1,tissue) × (exp(k × min(TI1, PLD − ATT)) − 1) / "
    "k), k = 1 / T1,tissue − 1 / T1,blood",
    _exp(f"{MINUS}{_bracketed(_SINCE)}<mo>/</mo>{_TISSUE}")
    + "<mo>⋅</mo>"
    + _over(f"{_exp(f'{_RATE}<mo>⋅</mo>{_INFLOW}')}{MINUS}<mn>1</mn>", _RATE),
)


def of_equation(equation: str) -> Formula:
    """The model that a sidecar's ``Equation`` names.

    Parameters
    ----------
    equation : str

    Returns
    -------
    Formula
        Without MathML where the equation is a text: of several delays, or of CBF that the scanner computed.
    """
    models = {
        kinetics.CONTINUOUS: _CONTINUOUS,
        kinetics.PULSED: _PULSED,
        kinetics.KNOWN_CONTINUOUS: _KNOWN_CONTINUOUS,
        kinetics.KNOWN_PULSED: _KNOWN_PULSED,
    }
    return models.get(equation, Formula(name=equation))
