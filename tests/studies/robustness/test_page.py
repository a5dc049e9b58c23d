import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from robust_saliency.drawing import epsilon_curves
from robust_saliency.drawing.formatting import percent_range
from robust_saliency.drawing.palette import model_styles
from robust_saliency.results.claims import Claim, measure
from robust_saliency.results.result import Result
from robust_saliency.studies.robustness import Robustness, page

MODELS = ("standard", "PGD & <script>alert('x')</script> $\\frac$")
ATTACKS = (
  {"name": "fgsm", "label": "FGSM", "norm": "linf"},
  {"name": "pgd l2", "label": "PGD-40", "norm": "l2"},
)
EPSILONS = (0.0, 0.1, 0.2)


def result(correct, *, models=MODELS, seeds=(0, 7), attacks=ATTACKS, epsilons=EPSILONS, **metadata):
  study = Robustness(attacks={attack["name"]: {} for attack in attacks}, epsilons=epsilons)
  layout = study.layout(models, seeds, dataset=None)
  metadata = {"attacks": list(attacks), **metadata}
  return Result("robust/ness", "robustness", layout, {"correct": np.asarray(correct)}, metadata)


def section_of(one):
  return page.section(one, model_styles(one.layout.coordinates["model"]))


def trained_with(one, **norms):
  radii = {MODELS[0]: None, MODELS[1]: 0.1}
  return dataclasses.replace(one, metadata={**one.metadata, "training_epsilons": radii, **norms})


@pytest.fixture
def robustness(hits):
  # [attack, model, seed, epsilon], of 10 examples.
  counts = [
    [[[10, 4, 0], [8, 2, 2]], [[9, 9, 8], [9, 7, 6]]],
    [[[10, 0, 0], [8, 0, 0]], [[9, 5, 1], [9, 5, 3]]],
  ]
  return result(hits(counts, 10))


@pytest.fixture
def section(robustness):
  return section_of(robustness)


def test_the_table_holds_the_means_that_a_hand_computes(section):
  (table,) = section.tables
  assert list(table.columns) == ["Network", "ε = 0", "ε = 0.1", "ε = 0.2"]
  cells = [[list(row.cells) for row in group.rows] for group in table.groups]
  assert cells == [
    [["90.0", "30.0", "10.0"], ["90.0", "80.0", "70.0"]],
    [["90.0", "0.0", "0.0"], ["90.0", "50.0", "20.0"]],
  ]


def test_the_sheet_holds_every_attack_model_seed_and_epsilon(section):
  (sheet,) = section.sheets
  assert len(sheet.rows) == 2 * 2 * 2 * 3
  assert ["pgd l2", "l2", MODELS[1], 7, 0.2, 0.3, 10] in sheet.rows


def test_there_is_a_picture_per_attack_that_says_what_the_band_is(section):
  assert [picture.name for picture in section.pictures] == ["fgsm", "pgd l2"]
  assert all(
    "Band: 95 % interval over 10 test images, two networks" in p.caption for p in section.pictures
  )


def test_the_alternative_text_tells_where_the_curves_begin_and_end(section):
  assert "standard 90.0 % and 10.0 %" in section.pictures[0].alt


def test_a_curve_is_drawn_where_its_numbers_are():
  # A network that is always right and one that is never right, on an otherwise empty chart.
  correct = np.zeros((2, 2, 2, 3, 10), bool)
  correct[:, 0] = True
  picture = section_of(result(correct)).pictures[0]
  image = np.asarray(Image.open(io.BytesIO(picture.png)).convert("RGB")).astype(int)
  # Above the legend.
  chart = image[: int(0.8 * len(image))]
  heights = []
  for style in model_styles(MODELS).values():
    rgb = [int(style.colour[i : i + 2], 16) for i in (1, 3, 5)]
    heights.append(np.median(np.nonzero(np.abs(chart - rgb).sum(-1) < 12)[0]))
  assert heights[0] < 0.3 * len(chart) < 0.55 * len(chart) < heights[1]


def test_the_training_epsilon_is_marked_under_attacks_in_its_own_norm_only(robustness):
  pictures = section_of(trained_with(robustness, training_norms={MODELS[1]: "linf"})).pictures
  assert f"Dotted at ε = 0.1: trained with it were {MODELS[1]}." in pictures[0].caption
  assert "Dotted" not in pictures[1].caption


@pytest.mark.parametrize(
  "norms", [{}, {"training_norms": {MODELS[1]: "l2"}}, {"training_norms": None}]
)
def test_a_training_epsilon_of_an_unknown_or_another_norm_is_not_marked(robustness, norms):
  assert "Dotted" not in section_of(trained_with(robustness, **norms)).pictures[0].caption


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("setting", [{"precision": "float64"}, {"temperature": 50.0}])
def test_the_reader_is_told_why_one_attack_stands_there_in_float64_or_on_scaled_logits(
  robustness, section, setting
):
  plain = {"precision": "float32", "temperature": 1.0}
  fgsm, other = ATTACKS
  readings = [
    section_of(result(robustness.arrays["correct"], attacks=attacks)).reading
    for attacks in (({**fgsm, **plain}, other), ({**fgsm, **plain}, {**other, **setting}))
  ]
  assert "float32" not in section.reading
  assert "float32" not in readings[0]
  assert "masks its gradients and is not robust" in readings[1]


def test_epsilons_may_come_in_any_order(robustness, section):
  shuffled = result(robustness.arrays["correct"][..., [2, 0, 1], :], epsilons=(0.2, 0.0, 0.1))
  assert [p.svg for p in section_of(shuffled).pictures] == [p.svg for p in section.pictures]


def test_a_long_curve_is_thinned_in_the_table_and_whole_in_the_sheet():
  epsilons = tuple(i / 20 for i in range(21))
  section = section_of(result(np.ones((2, 2, 2, 21, 4), bool), epsilons=epsilons))
  assert len(section.tables[0].columns) == 1 + page.TABLE_COLUMNS
  assert "7 of 21 values of ε" in section.tables[0].caption
  assert len(section.sheets[0].rows) == 2 * 2 * 2 * 21


def test_a_network_without_numbers_leaves_the_other_s_as_they_are(robustness, section):
  correct = robustness.arrays["correct"].astype(float)
  correct[:, 0, 1] = np.nan  # one seed of the first network
  struck_out = section_of(result(correct))
  for before, after in zip(section.tables[0].groups, struck_out.tables[0].groups, strict=True):
    assert after.rows[0].cells == ["n/a", "n/a", "n/a"]
    assert after.rows[1] == before.rows[1]
  assert "standard n/a % and n/a %" in struck_out.pictures[0].alt


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("networks", [1, 2, 3])
def test_a_claim_and_the_band_have_the_same_interval(networks, monkeypatch):
  right = np.random.default_rng(0).random((2, 2, networks, 3, 50)) < 0.9
  one = result(right, seeds=tuple(range(networks)))
  drawn = []
  picture = epsilon_curves.picture
  monkeypatch.setattr(
    epsilon_curves, "picture", lambda *args: (drawn.append(args[3]), picture(*args))[1]
  )
  section = section_of(one)
  claim = Claim(
    id="C", says="", of="robust.correct", statistic="share",
    at={"attack": "pgd l2", "model": MODELS[1], "epsilon": 0.1},
  )  # fmt: skip
  estimate = measure(claim, {"robust": one})
  band = drawn[1][1, 1].one()
  assert percent_range(estimate.low, estimate.high) == percent_range(band.low, band.high)
  assert f"95 % interval over {estimate.over}" in section.pictures[1].caption


def test_the_paper_s_own_numbers_are_drawn_as_open_marks_where_the_axis_has_them(robustness):
  numbers = [
    {
      "array": "correct",
      "at": {"attack": "fgsm", "model": "standard", "epsilon": epsilon},
      "value": 0.5,
    }
    for epsilon in ("0.1", "0.9")
  ]
  beside = dataclasses.replace(robustness, metadata={**robustness.metadata, "published": numbers})
  first, second = section_of(beside).pictures
  without, unchanged = section_of(robustness).pictures
  assert first.caption.endswith("Open marks: the paper’s own numbers.")
  assert first.svg != without.svg
  assert second == unchanged
  beyond = dataclasses.replace(
    robustness, metadata={**robustness.metadata, "published": numbers[1:]}
  )
  assert section_of(beyond).pictures[0].svg == without.svg
