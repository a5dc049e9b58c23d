"""Networks of one family: linear ones, whose accuracies and gradients have closed forms."""

import dataclasses

import jax
import linear
import numpy as np
import pytest

from robust_saliency.drawing.palette import model_styles
from robust_saliency.pipeline.diverged import struck_out
from robust_saliency.studies import read_study, run_study
from robust_saliency.studies.response.quantities import derived, plateau, slope

FAMILIES = {"all": {"second": 10.0, "first": 1.0, "third": 100.0}, "one": {"third": 100.0}}
SETTINGS = {
  "kind": "response",
  "families": FAMILIES,
  "source": "source",
  "attack": {"name": "fgsm", "label": "FGSM"},
  "epsilon": 0.05,
  "batch_size": 16,
}
SEEDS = {"source": (0, 1), "first": (0, 3), "second": (1, 4), "third": (2, 5)}
STUDY = read_study("r", SETTINGS)


@pytest.fixture
def networks():
  return {name: [linear.network(seed) for seed in of] for name, of in SEEDS.items()}


@pytest.fixture
def result(networks, dataset, tmp_path):
  key = jax.random.key(0)
  return run_study("r", STUDY, networks, dataset, key=key, seeds=(0, 1), directory=tmp_path)


def test_accuracies_and_gradients_are_those_of_each_network_of_its_seed(result, dataset):
  x, y = dataset.test.x, dataset.test.y
  for s, source in enumerate(SEEDS["source"]):
    push = 0.05 * np.sign(linear.direction(source)).reshape(2, 2, 1)
    x_adv = x - push * np.where(y == 1, 1, -1)[:, None, None, None]
    for name in ("first", "second", "third"):
      seed = SEEDS[name][s]
      for array, images in (("clean", x), ("attacked", x_adv)):
        expected = linear.margins(images, y, seed) > 0
        np.testing.assert_array_equal(result.at(array, model=name, seed=s), expected)
      margin, norm = linear.margins(x, y, seed), np.linalg.norm(linear.direction(seed))
      of_y, of_all = norm / (1 + np.exp(margin)), norm * np.abs(1 / (1 + np.exp(-margin)) - 0.5)
      for target, lengths in (("y", of_y), ("1/K", of_all)):
        found = result.at("mean_square", target=target, model=name, seed=s)
        assert found == pytest.approx((lengths**2).mean(), rel=1e-4)


def test_what_follows_is_in_the_order_of_the_numbers(result):
  order, decades = ["first", "second", "third"], [0.0, 1.0, 2.0]
  for s in (0, 1):
    for target in ("y", "1/K"):
      squares = [result.at("mean_square", target=target, model=name, seed=s) for name in order]
      fitted = np.polyfit(decades, np.log10(squares), 1)[0]
      assert result.at("slope", target=target, family="all", seed=s) == pytest.approx(fitted)
  assert np.isnan(result.at("slope", family="one")).all()
  assert np.isnan(result.at("plateau", family="one")).all()


def made(clean, attacked, images=1000):
  """What follows from shares [P, S] of images that networks 1, 10, 100, ... get right."""
  names = [f"n{i}" for i in range(len(clean))]
  arrays = {
    name: np.arange(images) < np.rint(images * np.array(shares))[..., None]
    for name, shares in (("clean", clean), ("attacked", attacked))
  }
  arrays["mean_square"] = np.ones((2, *arrays["clean"].shape[:2]))
  family = {"f": {name: 10.0**i for i, name in enumerate(names)}}
  return derived(arrays, names, family, drop=0.1, loss=0.1)


def near(curve, drop):
  """The width of the run around the highest point of a curve, on a fine grid."""
  decades = np.arange(len(curve))
  fine = np.linspace(0, len(curve) - 1, 300001)
  values = np.interp(fine, decades, curve)
  inside, peak = values >= max(curve) - drop, int(values.argmax())
  first = peak - int(np.argmin(inside[peak::-1])) + 1
  last = peak + int(np.argmin(inside[peak:])) - 1
  return fine[last] - fine[first]


@pytest.mark.parametrize(
  "curve", [[0.2, 0.6, 0.6, 0.2], [0.3, 0.9, 0.2, 0.9, 0.1], [0.1, 0.5, 0.55, 0.5, 0.43, 0.1]]
)
def test_a_plateau_is_as_wide_as_the_curve_stays_near_its_highest_point(curve):
  assert plateau(np.array(curve), np.arange(len(curve)), 0.1) == pytest.approx(
    near(curve, 0.1), abs=1e-4
  )


@pytest.mark.parametrize("curve", [[0.5, 0.5, 0.2], [0.1, 0.4, 0.9], [0.1, np.nan, 0.9, 0.1]])
def test_a_plateau_that_is_not_left_to_both_sides_has_no_width(curve):
  assert np.isnan(plateau(np.array(curve), np.arange(len(curve)), 0.1))


def test_networks_are_over_regularised_once_clean_accuracy_is_lost():
  found = made(
    clean=[[0.9, 0.9], [0.95, 0.9], [0.7, 0.85]], attacked=[[0.2, 0.2], [0.6, 0.6], [0.68, 0.7]]
  )
  # From 0.95 to 0.7 it passes 0.8 after 0.15 / 0.25 of the second decade; 0.85 is not yet low.
  assert found["collapse"][0, 0] == pytest.approx(1.6)
  assert np.isnan(found["collapse"][0, 1])
  assert found["gap_at_largest"][0, 0].mean() == pytest.approx(0.02)
  assert np.isnan(found["gap_at_largest"][0, 1]).all()


def test_gradients_that_underflow_have_no_slope():
  assert np.isnan(slope(np.array([1.0, 0.0]), np.array([0.0, 1.0])))


def test_a_network_that_diverged_leaves_its_families_of_its_seed_without_numbers(result, networks):
  networks["second"][1] = dataclasses.replace(networks["second"][1], diverged="nan")
  struck = STUDY.after_divergence(struck_out(result, networks), networks)
  values, before = (np.moveaxis(one.at("slope", family="all"), -1, 0) for one in (struck, result))
  assert np.isnan(values[1]).all()
  np.testing.assert_array_equal(values[0], before[0])
  assert np.isnan(struck.at("plateau", family="all", seed=1))
  networks["source"][0] = dataclasses.replace(networks["source"][0], diverged="nan")
  sourceless = STUDY.after_divergence(struck_out(result, networks), networks)
  assert np.isnan(sourceless.at("attacked", seed=0)).all()
  assert np.isfinite(sourceless.at("attacked", model="first", seed=1)).all()
  assert np.isfinite(sourceless.at("clean", model="first")).all()


def test_the_page_says_where_a_family_has_its_plateau_and_its_end(result):
  arrays = {
    **result.arrays, "plateau": np.array([[1.0, 2.0], [np.nan, 1.0]]),
    "collapse": np.array([[1.0, 1.0], [np.nan, np.nan]]),
  }  # fmt: skip
  [table] = STUDY.page(dataclasses.replace(result, arrays=arrays), {}).tables
  assert [group.heading for group in table.groups] == [
    "all: a plateau of 1.500 decades, over-regularised from λ = 10 on", "one",
  ]  # fmt: skip


def test_the_page_has_a_row_per_network_in_the_order_of_its_number(result):
  section = STUDY.page(result, model_styles(list(SEEDS)))
  [table], [sheet] = section.tables, section.sheets
  assert [row.heading for row in table.groups[0].rows] == ["λ = 1", "λ = 10", "λ = 100"]
  assert table.groups[1].heading == "one"
  assert len(table.columns) == 1 + len(table.groups[0].rows[0].cells)
  assert len(sheet.rows) == 4 * 2
  clean = result.at("clean", model="first", seed=1).mean()
  assert sheet.rows[1][:4] == ["all", "first", 1.0, 1]
  assert sheet.rows[1][4] == pytest.approx(clean)
  assert "FGSM at ε = 0.05" in section.reading


def test_a_response_says_which_networks_it_needs(networks, dataset):
  assert STUDY.networks(["x"]) == ("source", "second", "first", "third")
  modules = {name: of[0].module for name, of in networks.items()}
  STUDY.check(modules, dataset)
  with pytest.raises(ValueError, match="models of a response are its families and its source"):
    read_study("r", {**SETTINGS, "models": ("first",)}).check(modules, dataset)
