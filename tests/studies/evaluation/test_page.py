import numpy as np
import pytest

from robust_saliency.drawing.formatting import percent_range
from robust_saliency.results.claims import Claim, measure
from robust_saliency.results.result import Result
from robust_saliency.studies.evaluation import Evaluation, page

MODELS = ("standard", "PGD & <script>alert('x')</script>")


def result(correct, robust, *, seeds=(0,), labels=("PGD-40", "AutoAttack"), warnings=None):
  study = Evaluation(attacks={"pgd": {}, "aa": {}}, epsilon=0.1)
  layout = study.layout(MODELS, seeds, dataset=None)
  metadata = {
    "attacks": [
      {"name": name, "label": label} for name, label in zip(study.attacks, labels, strict=True)
    ],
    "epsilon": 0.1,
    "norm": "linf",
    "warnings": warnings or {},
  }
  arrays = {"correct": np.asarray(correct), "robust": np.asarray(robust)}
  return Result("careful", "evaluation", layout, arrays, metadata)


@pytest.fixture
def counts(hits):
  # [model, seed] and [attack, model, seed], of 8 examples.
  return hits([[8], [4]], 8), hits([[[6], [2]], [[4], [1]]], 8)


def test_the_worst_case_is_what_stays_correct_under_every_attack(counts):
  accuracies, _ = page.section(result(*counts)).tables
  assert list(accuracies.columns) == ["Network", "clean", "PGD-40", "AutoAttack", "worst case"]
  cells = [row.cells for row in accuracies.groups[0].rows]
  # Of 8: PGD leaves 6 and AutoAttack 4 of them correct; of the second network 2 and 1.
  assert [cell[:3] for cell in cells] == [["100.0", "75.0", "50.0"], ["50.0", "25.0", "12.5"]]
  assert cells[0][3].startswith("50.0 (")
  assert cells[1][3].startswith("12.5 (")


def test_warnings_stand_under_their_network_and_their_absence_is_said(counts):
  warnings = {MODELS[0]: {"zero_gradients": ["<b>zero</b>"]}, MODELS[1]: {}}
  _, table = page.section(result(*counts, warnings=warnings)).tables
  first, second = table.groups
  assert [(row.heading, *row.cells) for row in first.rows] == [("zero gradients", "<b>zero</b>")]
  assert second.rows[0].heading == "none"


def test_attacks_of_one_label_have_a_column_each(counts):
  section = page.section(result(*counts, labels=("clean", "clean")))
  assert section.tables[0].groups[0].rows[0].cells[:3] == ["100.0", "75.0", "50.0"]
  assert [row[0] for row in section.sheets[0].rows[::2]] == ["none", "pgd", "aa", "worst case"]


def test_a_network_without_numbers_leaves_the_other_s_as_they_are(counts):
  before = page.section(result(*counts)).tables[0].groups[0].rows
  correct, robust = (one.astype(float) for one in counts)
  correct[0], robust[:, 0] = np.nan, np.nan
  after = page.section(result(correct, robust)).tables[0].groups[0].rows
  assert after[0].cells == ["n/a", "n/a", "n/a", "n/a (n/a)"]
  assert after[1] == before[1]


@pytest.mark.parametrize("networks", [1, 2, 3])
def test_a_claim_and_the_table_have_the_same_interval(networks):
  robust = np.random.default_rng(0).random((2, networks, 50)) < 0.9
  # The second attack breaks nothing, so that the worst case is the first.
  arrays = np.ones_like(robust), np.stack([robust, np.ones_like(robust)])
  one = result(*arrays, seeds=tuple(range(networks)))
  claim = Claim(
    id="C", says="", of="careful.robust", at={"attack": "pgd", "model": MODELS[1]},
    statistic="share",
  )  # fmt: skip
  estimate = measure(claim, {"careful": one})
  table = page.section(one).tables[0]
  cell = table.groups[0].rows[1].cells[-1]
  assert cell[cell.index("(") + 1 : -1] == percent_range(estimate.low, estimate.high)
  assert f"95 % interval over {estimate.over}" in table.caption
