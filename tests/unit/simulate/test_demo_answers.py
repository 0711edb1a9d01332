from pharmasl.simulate import comparison_table, demo_answers
from pharmasl.simulate.comparison_table import ASSOCIATION, CRAVING, RESTING, Comparison
from pharmasl.study.settings import Arms

ARMS = Arms(column="arm", treatment="baclofen", control="placebo", others=())


def row(effect, region, planted, estimate, p, verdict="found"):
    numbers = {"planted": planted, "expected": planted, "found": estimate, "p": p}
    return Comparison(effect=effect, region=region, unit="", verdict=verdict, **numbers)


def answers(folder, *rows):
    comparison_table.write_table(folder / "comparison.tsv", rows)
    return demo_answers.answers(folder / "comparison.tsv", ARMS)


def rows(verdict="found"):
    return [
        row(RESTING, "right dorsolateral prefrontal cortex", 14.33, 14.24, 0.0022, verdict),
        Comparison(effect=RESTING, region="elsewhere", unit="", planted=0.0, verdict="none"),
        row(ASSOCIATION, "anterior ventral insula, left", -0.9, -1.06, 0.034, verdict),
        row(ASSOCIATION, "ventromedial prefrontal cortex", -0.9, -1.0, 0.017, verdict),
        row(CRAVING, "craving", -27.0, -26.83, 0.0013, verdict),
    ]


def test_three_sentences(tmp_path):
    assert answers(tmp_path, *rows()) == [
        "Resting CBF of the right dorsolateral prefrontal cortex rose 14.2 mL/100 g/min more on baclofen than on placebo "
        "(p = 0.002, corrected over the brain); expected 14.3.",
        "The more resting CBF rose there, the less CBF rose during cues in the left anterior ventral insula and ventromedial "
        "prefrontal cortex (p = 0.03 or less, corrected over the brain): 2 of 2 planted regions.",
        "Cue-elicited craving fell 26.8 points more on baclofen than on placebo (p = 0.001); planted 27.",
    ]


def test_what_was_missed_is_said(tmp_path):
    sentences = answers(tmp_path, *rows("not found"))
    assert all("was not detected" in sentence for sentence in sentences)
    assert len(sentences) == 3
