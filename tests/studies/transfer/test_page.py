import io

import numpy as np
import pytest
from matplotlib import colormaps
from PIL import Image

from robust_saliency.drawing import heat_map
from robust_saliency.drawing.formatting import percent_range
from robust_saliency.drawing.palette import model_styles
from robust_saliency.results.claims import Claim, measure
from robust_saliency.results.result import Result
from robust_saliency.studies.transfer import Overlap, Transfer, page
from robust_saliency.studies.transfer.quantities import derived

MODELS = ("standard", "PGD & <script>alert('x')</script> $\\frac$")
ATTACK = {"name": "fgsm", "label": "FGSM", "norm": "linf"}


def result(correct, *, models=MODELS, seeds=(0, 7), epsilons=(0.2,), overlap=None):
  correct = np.asarray(correct)
  study = Transfer(attack={}, epsilons=epsilons)
  layout = study.layout(models, seeds, dataset=None)
  metadata = {"attack": ATTACK}
  if overlap is not None:
    metadata["overlap"] = {"models": list(overlap.models), "epsilon": overlap.epsilon}
  arrays = {"correct": correct, **derived(correct, epsilons)}
  return Result("transfer", "transfer", layout, arrays, metadata)


def section_of(one):
  return page.section(one, model_styles(one.layout.coordinates["source"]))


@pytest.fixture
def counts(hits):
  # [seed, epsilon, source, target], of 4 examples.
  return hits([[[[0, 3], [4, 1]]], [[[2, 3], [3, 1]]]], 4)


def test_the_numbers_are_the_means_that_a_hand_computes(counts):
  rows = section_of(result(counts)).tables[0].groups[0].rows
  # 0 and 2 of 4, 3 and 3, 4 and 3, 1 and 1.
  means = [[cell.split()[0] for cell in row.cells] for row in rows]
  assert means == [["25.0", "75.0"], ["87.5", "25.0"]]


def test_the_sheet_says_which_network_is_the_source_and_which_the_target(counts):
  sheet = section_of(result(counts)).sheets[0]
  assert sheet.header[3:6] == ["source", "target", "seed"]
  assert ["fgsm", "linf", 0.2, MODELS[1], MODELS[0], 7, 0.75, 4] in sheet.rows
  assert len(sheet.rows) == 8


def test_cells_have_the_colours_of_their_numbers(counts):
  picture = section_of(result(counts)).pictures[0]
  image = Image.open(io.BytesIO(picture.png)).convert("RGB")
  drawn = {colour for count, colour in image.getcolors(1 << 20) if count > 5000}
  for mean in (0.25, 0.75, 0.875):
    expected = colormaps[heat_map.COLOUR_MAP](mean, bytes=True)[:3]
    assert min(np.abs(np.subtract(colour, expected)).max() for colour in drawn) <= 1


def test_there_is_a_heat_map_per_epsilon(counts):
  section = section_of(result(np.repeat(counts, 3, axis=1), epsilons=(0.1, 0.2, 0.3)))
  assert [p.name for p in section.pictures] == ["fgsm 0.1", "fgsm 0.2", "fgsm 0.3"]


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("count", [1, 3, 8])
def test_any_number_of_networks_is_drawn(count):
  models = tuple(f"network number {i} with a rather long name" for i in range(count))
  one = result(np.ones((1, 1, count, count, 3), bool), models=models, seeds=(0,))
  assert "Columns are numbered like the rows." in section_of(one).pictures[0].caption


NAMES = ("a", "b", "c")
RADII = (0.0, 0.1, 0.2, 0.3)
CHOSEN = Overlap(models=("c", "a", "b"), epsilon=0.2)


@pytest.fixture
def of_three():
  return np.random.default_rng(0).random((2, 4, 3, 3, 20)) < 0.5


def three_networks(correct):
  return result(correct, models=NAMES, epsilons=RADII, overlap=CHOSEN)


def test_many_radii_have_curves_and_an_overlap_has_diagrams(of_three):
  section = section_of(three_networks(of_three))
  assert [p.name for p in section.pictures] == ["fgsm a", "fgsm b", "fgsm c", "overlap 0.2"]
  assert "FGSM, source network b" in section.pictures[1].caption
  assert [sheet.name for sheet in section.sheets] == ["transfer", "overlap"]


def test_diagrams_count_the_examples_of_the_chosen_radius_in_the_chosen_order(of_three):
  sheet = section_of(three_networks(of_three)).sheets[1]
  assert sheet.header == ["source", "fools c", "fools a", "fools b", "examples"]
  wrong = ~of_three[0, 2]
  both = (wrong[0, 2] & wrong[0, 0] & ~wrong[0, 1]).sum()
  assert ["a", True, True, False, both] in sheet.rows


@pytest.mark.slow
def test_diagrams_are_of_the_first_seed_that_has_all_three_networks(of_three):
  correct = of_three.astype(float)
  correct[0, :, :, 1], correct[0, :, 1] = np.nan, np.nan  # the first seed's b has diverged
  sheet = section_of(three_networks(correct)).sheets[1]
  alone = section_of(three_networks(of_three[::-1])).sheets[1]
  assert sheet.rows == alone.rows
  correct[1, :, :, 0] = np.nan
  section = section_of(three_networks(correct))
  assert [p.name for p in section.pictures] == ["fgsm a", "fgsm b", "fgsm c"]


def test_a_network_without_numbers_leaves_the_others_as_they_are(counts):
  correct = counts.astype(float)
  correct[0, :, 1], correct[0, :, :, 1] = np.nan, np.nan
  before, after = section_of(result(counts)), section_of(result(correct))
  (first, second) = after.tables[0].groups[0].rows
  assert first.cells[0] == before.tables[0].groups[0].rows[0].cells[0]
  assert [first.cells[1], *second.cells] == ["n/a (n/a)"] * 3
  assert "Attacked themselves: standard 25.0 %" in after.pictures[0].alt
  assert "Between" not in after.pictures[0].alt


@pytest.mark.parametrize("networks", [1, 2, 3])
def test_a_claim_and_the_table_have_the_same_interval(networks):
  one = result(
    np.random.default_rng(0).random((networks, 1, 2, 2, 50)) < 0.9, seeds=tuple(range(networks))
  )
  claim = Claim(
    id="C", says="", of="transfer.correct", statistic="share",
    at={"source": MODELS[0], "target": MODELS[1], "epsilon": 0.2},
  )  # fmt: skip
  estimate = measure(claim, {"transfer": one})
  (table,) = section_of(one).tables
  cell = table.groups[0].rows[0].cells[1]
  assert cell[cell.index("(") + 1 : -1] == percent_range(estimate.low, estimate.high)
  assert f"95 % interval over {estimate.over}" in table.caption
