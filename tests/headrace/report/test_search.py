from __future__ import annotations

from headrace.report.search import curve_charts


def searched(**changed):
    told = {
        "candidate": "lightgbm",
        "trials": 6,
        "planned": 6,
        "curve": [[1, 2.0, 0.6], [3, 5.0, 0.7]],
    }
    return {"search": {"seconds": 10.0, "algorithms": [{**told, **changed}]}}


def test_the_best_so_far_is_level_until_it_rises_and_to_the_end():
    by_seconds, by_trials = curve_charts(searched())
    for chart, along in ((by_seconds, (0.2, 0.5, 1.0)), (by_trials, (1 / 6, 0.5, 1.0))):
        (curve,) = chart.curves
        xs, ys = zip(*curve.corners, strict=True)
        width = chart.right - chart.left
        assert [round((x - chart.left) / width, 1) for x in (xs[0], xs[1], xs[-1])] == [
            round(share, 1) for share in along
        ]
        assert ys[0] == ys[1] > ys[2] == ys[3]  # higher up is more


def test_an_algorithm_that_had_one_trial_or_no_result_has_no_curve():
    assert curve_charts({}) == []
    assert curve_charts(searched(planned=1)) == []
    assert curve_charts(searched(curve=[])) == []


def test_one_result_alone_is_a_level_line():
    for chart in curve_charts(searched(curve=[[1, 2.0, -0.4]])):
        (curve,) = chart.curves
        assert len({y for _, y in curve.corners}) == 1
        assert curve.corners[-1][0] > curve.corners[0][0]
