import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from robust_saliency.drawing.palette import model_styles
from robust_saliency.report import robustness


@pytest.fixture
def section(robustness_study):
  return robustness.section(robustness_study, model_styles(robustness_study.facts["models"]))


def test_the_table_holds_the_means_that_a_hand_computes(section):
  (table,) = section.tables
  assert list(table.columns) == ["Network", "ε = 0", "ε = 0.1", "ε = 0.2"]
  cells = [[list(row.cells) for row in group.rows] for group in table.groups]
  assert cells == [
    [["90.0", "30.0", "10.0"], ["90.0", "80.0", "70.0"]],
    [["90.0", "0.0", "0.0"], ["90.0", "50.0", "20.0"]],
  ]


def test_the_sheet_holds_every_attack_model_seed_and_epsilon(section, robustness_study):
  (sheet,) = section.sheets
  assert len(sheet.rows) == 2 * 2 * 2 * 3
  models = robustness_study.facts["models"]
  assert ["pgd l2", "l2", models[1], 7, 0.2, 0.3, 10] in sheet.rows


def test_there_is_a_picture_per_attack_that_says_what_the_band_is(section):
  assert [picture.name for picture in section.pictures] == ["fgsm", "pgd l2"]
  assert all(
    "Band: 95 % interval over 10 test images, two networks" in p.caption for p in section.pictures
  )


def test_the_alternative_text_tells_where_the_curves_begin_and_end(section):
  assert "standard 90.0 % and 10.0 %" in section.pictures[0].alt


def test_a_curve_is_drawn_where_its_numbers_are(robustness_study):
  # A network that is always right and one that is never right, on an otherwise empty chart.
  correct = np.zeros((2, 2, 2, 3, 10), bool)
  correct[:, 0] = True
  styles = model_styles(robustness_study.facts["models"])
  study = dataclasses.replace(robustness_study, arrays={"correct": correct})
  picture = robustness.section(study, styles).pictures[0]
  image = np.asarray(Image.open(io.BytesIO(picture.png)).convert("RGB")).astype(int)
  # Above the legend.
  chart = image[: int(0.7 * len(image))]
  heights = []
  for style in styles.values():
    rgb = [int(style.colour[i : i + 2], 16) for i in (1, 3, 5)]
    heights.append(np.median(np.nonzero(np.abs(chart - rgb).sum(-1) < 12)[0]))
  assert heights[0] < 0.3 * len(chart) < 0.55 * len(chart) < heights[1]


def test_the_training_epsilon_is_marked_under_attacks_in_its_own_norm_only(robustness_study):
  models = robustness_study.facts["models"]
  facts = {**robustness_study.facts, "training_norms": {models[1]: "linf"}}
  pictures = robustness.section(
    dataclasses.replace(robustness_study, facts=facts), model_styles(models)
  ).pictures
  assert f"Dotted at ε = 0.1: trained with it were {models[1]}." in pictures[0].caption
  assert "Dotted" not in pictures[1].caption


@pytest.mark.parametrize("setting", [{"precision": "float64"}, {"temperature": 50.0}])
def test_the_reader_is_told_why_one_attack_stands_there_in_float64_or_on_scaled_logits(
  robustness_study, section, setting
):
  plain = {"precision": "float32", "temperature": 1.0}
  fgsm, other = robustness_study.facts["attacks"]
  styles = model_styles(robustness_study.facts["models"])
  readings = [
    robustness.section(
      dataclasses.replace(robustness_study, facts={**robustness_study.facts, "attacks": attacks}),
      styles,
    ).reading
    for attacks in ([{**fgsm, **plain}, other], [{**fgsm, **plain}, {**other, **setting}])
  ]
  assert "float32" not in section.reading
  assert "float32" not in readings[0]
  assert "masks its gradients and is not robust" in readings[1]


def test_epsilons_may_come_in_any_order(robustness_study, section):
  order = [2, 0, 1]
  shuffled = dataclasses.replace(
    robustness_study,
    arrays={"correct": robustness_study.arrays["correct"][..., order, :]},
    facts={**robustness_study.facts, "epsilons": [0.2, 0.0, 0.1]},
  )
  styles = model_styles(robustness_study.facts["models"])
  pictures = robustness.section(shuffled, styles).pictures
  assert [p.svg for p in pictures] == [p.svg for p in section.pictures]


def test_a_long_curve_is_thinned_in_the_table_and_whole_in_the_sheet(robustness_study):
  epsilons = [i / 20 for i in range(21)]
  correct = np.ones((2, 2, 2, 21, 4), bool)
  study = dataclasses.replace(
    robustness_study,
    arrays={"correct": correct},
    facts={**robustness_study.facts, "epsilons": epsilons},
  )
  section = robustness.section(study, model_styles(study.facts["models"]))
  assert len(section.tables[0].columns) == 1 + robustness.TABLE_COLUMNS
  assert "7 of 21 values of ε" in section.tables[0].caption
  assert len(section.sheets[0].rows) == 2 * 2 * 2 * 21


@pytest.mark.parametrize("norms", [{}, {"of the trained": "l2"}, None])
def test_a_training_epsilon_of_an_unknown_or_another_norm_is_not_marked(robustness_study, norms):
  models = robustness_study.facts["models"]
  known = norms and {models[1]: norms["of the trained"]}
  facts = {**robustness_study.facts, "training_norms": known}
  pictures = robustness.section(
    dataclasses.replace(robustness_study, facts=facts), model_styles(models)
  ).pictures
  assert "Dotted" not in pictures[0].caption
