import numpy as np
import pytest

from robust_saliency.drawing.palette import model_styles
from robust_saliency.report import overlap, transfer


def test_regions_count_every_example_that_fools_anyone_once():
  fooled = np.random.default_rng(0).random((3, 200)) < 0.4
  counts = overlap.regions(fooled)
  assert sum(counts.values()) == fooled.any(axis=0).sum()
  for network in range(3):
    of_network = sum(count for pattern, count in counts.items() if pattern[network])
    assert of_network == fooled[network].sum()
  assert counts[True, True, False] == (fooled[0] & fooled[1] & ~fooled[2]).sum()


@pytest.fixture
def three_networks(transfer_study):
  names = ["a", "b", "c"]
  epsilons = [0.0, 0.1, 0.2, 0.3]
  correct = np.random.default_rng(0).random((1, 4, 3, 3, 20)) < 0.5
  transfer_study.arrays["correct"] = correct
  transfer_study.facts.update(
    models=names, epsilons=epsilons, overlap={"models": ["c", "a", "b"], "epsilon": 0.2}
  )
  return transfer_study


def test_a_transfer_study_of_many_radii_has_curves_and_diagrams(three_networks):
  section = transfer.section(three_networks, model_styles(["a", "b", "c"]))
  assert [p.name for p in section.pictures] == ["fgsm a", "fgsm b", "fgsm c", "overlap 0.2"]
  assert "FGSM, made for b" in section.pictures[1].caption
  assert [sheet.name for sheet in section.sheets] == ["transfer", "overlap"]


def test_diagrams_count_the_examples_of_the_chosen_radius_in_the_chosen_order(three_networks):
  sheet = transfer.section(three_networks, model_styles(["a", "b", "c"])).sheets[1]
  assert sheet.header == ["made_for", "fools c", "fools a", "fools b", "examples"]
  wrong = ~three_networks.arrays["correct"][0, 2]
  both = (wrong[0, 2] & wrong[0, 0] & ~wrong[0, 1]).sum()
  assert ["a", True, True, False, both] in sheet.rows
