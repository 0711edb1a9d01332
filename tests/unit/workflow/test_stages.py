from pharmasl.workflow import stages


def test_a_rule_is_in_one_stage():
    assert len(stages.SECONDS) == sum(len(stage.seconds) for stage in stages.STAGES)
    assert all(set(stage.counted) <= set(stage.seconds) for stage in stages.STAGES)


def test_stages_come_in_order_and_foreign_rules_last():
    names = [stage.name for stage in stages.stages_of(["all", "report", "mine", "prepare_anatomy"])]
    assert names == ["Anatomy", "Report", stages.OTHER]
    assert stages.stages_of(["all"]) == []


def test_the_last_part_of_the_demo_has_nothing_after_it():
    later = [part.later for part in stages.DEMO]
    assert later == sorted(later, reverse=True)
    assert later[-1] == 0
