import flax.linen as nn
import jax
import linear
import numpy as np
import pytest

from robust_saliency.results.claims import Claim, judge_claim
from robust_saliency.results.result import Result
from robust_saliency.studies import read_study
from robust_saliency.studies.study import run_study
from robust_saliency.studies.transfer import Overlap, Transfer
from robust_saliency.studies.transfer.quantities import derived, largest_drop
from robust_saliency.training import TrainedNetwork

MODULES = {name: linear.network(0).module for name in ("a", "b", "c")}
FGSM = {"name": "fgsm"}
ENTRY = {"kind": "transfer", "attack": FGSM, "epsilons": (0.0, 0.05)}


def transfer(epsilons, **settings):
  return Transfer(attack=FGSM, epsilons=epsilons, **settings)


def run(study, networks, dataset, directory, seeds=(0, 2)):
  key = jax.random.key(0)
  return run_study("t", study, networks, dataset, key=key, seeds=seeds, directory=directory)


def result(drop, **arrays):
  """A result of two networks with arrays made by hand."""
  drop = np.asarray(drop)
  seeds = tuple(range(len(drop)))
  study = transfer((0.0,), overlap=Overlap(models=("a", "b", "c"), epsilon=0.0) if arrays else None)
  correct = np.ones((len(seeds), 1, 2, 2, 8), bool)
  arrays = {"correct": correct, **derived(correct, (0.0,)), **arrays, "largest_drop": drop}
  layout = study.layout(("a", "b"), seeds, dataset=None)
  return {"t": Result("t", "transfer", layout, arrays)}


def drop_of(source, results, at_most=0.1):
  at = {"source": source}
  claim = Claim(id="C", says="", of="t.largest_drop", at=at, statistic="share", at_most=at_most)
  return judge_claim(claim, results)


def test_transfer_moves_against_the_source_and_asks_the_target(networks, dataset, tmp_path):
  result = run(transfer((0.05,), batch_size=16), networks, dataset, tmp_path)
  x, y = dataset.test.x, dataset.test.y
  push = 0.05 * np.sign(linear.direction(0)).reshape(2, 2, 1)
  x_adv = x - push * np.where(y == 1, 1, -1)[:, None, None, None]
  for target, seed in (("first", 0), ("second", 1)):
    found = result.at("correct", source="first", target=target, epsilon=0.05)[0]
    np.testing.assert_array_equal(found, linear.margins(x_adv, y, seed) > 0)


class RelativeToItsBatch(nn.Module):
  """A network that sees an image only against the mean of its batch."""

  @nn.compact
  def __call__(self, x, *, train=False, mask=None, dropout_keys=None):
    return nn.Dense(2)((x - x.mean(axis=0)).reshape(len(x), -1))


def test_transfer_scores_each_radius_by_itself(dataset, tmp_path):
  module = RelativeToItsBatch()
  variables = module.init(jax.random.key(3), dataset.test.x[:1])
  networks = {"relative": [TrainedNetwork(module, variables)]}

  def correct(epsilons):
    return run(transfer(epsilons), networks, dataset, tmp_path, seeds=(0,)).arrays["correct"]

  radii = (0.0, 0.05, 0.4)
  one_by_one = np.concatenate([correct((epsilon,)) for epsilon in radii], axis=1)
  np.testing.assert_array_equal(correct(radii), one_by_one)


def test_who_is_fooled_together_is_counted_at_the_overlap_s_radius(dataset, tmp_path):
  networks = {name: [linear.network(seed)] for seed, name in enumerate("abc")}
  study = transfer((0.0, 0.05), overlap=Overlap(models=("c", "a", "b"), epsilon=0.05))
  study.check(MODULES, dataset)
  result = run(study, networks, dataset, tmp_path, seeds=(0,))
  wrong = {
    (source, target): ~result.at("correct", source=source, target=target, epsilon=0.05)
    for source in networks
    for target in networks
  }
  for (source, target), of_target in wrong.items():
    place = {"source": source, "target": target}
    both, either = result.at("fools_both", **place), result.at("fools_either", **place)
    np.testing.assert_array_equal(both, wrong[source, source] & of_target)
    np.testing.assert_array_equal(either, wrong[source, source] | of_target)
  assert 0 < wrong["a", "b"].sum() < wrong["a", "b"].size
  assert result.metadata["overlap"] == {"models": ["c", "a", "b"], "epsilon": 0.05}


def test_a_claim_on_joint_errors_is_the_intersection_over_the_union():
  # Made with a, a gets 3 of 4 wrong and b one of these.
  both, either = np.zeros((2, 1, 2, 2, 4), bool)
  both[0, 0, 1, :1], either[0, 0, 1, :3] = True, True
  claim = Claim(
    id="C", says="", of="t.fools_both", among="fools_either", statistic="share",
    at={"source": "a", "target": "b"}, at_most=0.25,
  )  # fmt: skip
  results = result(np.zeros((1, 2, 4)), fools_both=both, fools_either=either)
  estimate = judge_claim(claim, results).estimate
  assert estimate.value == pytest.approx(1 / 3)
  assert estimate.over == "3 images that fool either, one network"
  nobody = result(np.zeros((1, 2, 4)), fools_both=both & False, fools_either=either & False)
  judged = judge_claim(claim, nobody)
  assert np.isnan(judged.estimate.value)
  assert judged.verdict == "undecided"


def test_the_largest_drop_is_chosen_on_one_half_of_the_images_and_judged_on_the_other():
  correct = np.ones((1, 3, 2, 2, 8), bool)
  correct[0, 0, 0, 0, 0] = False  # the smallest radius takes one image from a,
  correct[0, 1, 0, 0, :4] = False  # the next one three more,
  correct[0, 1, 0, 1, 1::2] = False  # and four from b, none of them a choosing one;
  correct[0, 2, 1, 1] = False  # what is made with b does not count.
  drop = largest_drop(correct, (0.0, 0.1, 0.2))
  assert drop.tolist() == [[[1, 1, 0, 0], [1, 1, 1, 1]]]
  # Whatever the order of the radii.
  shuffled = largest_drop(correct[:, [2, 0, 1]], (0.2, 0.0, 0.1))
  np.testing.assert_array_equal(drop, shuffled)
  estimate = drop_of("a", result(drop)).estimate
  assert estimate.value == 0.5
  assert estimate.over == "4 test images other than those that it was chosen on, one network"


def test_networks_of_a_source_are_judged_where_all_seeds_together_lose_most():
  correct = np.ones((2, 2, 1, 2, 4), bool)
  correct[0, 1, 0, 0] = False  # the first target loses all, but with one seed alone,
  correct[:, 1, 0, 1, :3] = False  # the second two of the choosing ones, with both.
  assert largest_drop(correct, (0.0, 0.1)).tolist() == [[[1, 0]], [[1, 0]]]


def test_the_most_harmed_of_equals_is_not_harmed():
  # Twelve targets, each right on any image with 0.5, whatever the radius.
  random = np.random.default_rng(0)
  drops = [
    largest_drop(random.random((1, 2, 1, 12, 100)) < 0.5, (0.1, 0.2)).mean() for _ in range(200)
  ]
  assert abs(np.mean(drops)) < 4 * 0.1 / np.sqrt(200)


@pytest.mark.parametrize("seeds", [1, 3])
def test_examples_that_fool_nobody_show_that_the_drop_is_small(seeds):
  # Tango's interval of no discordant pairs among n ends at z^2 / (n + z^2).
  judged = drop_of("a", result(np.zeros((seeds, 2, 400))), at_most=0.03)
  assert judged.verdict == ("supported" if seeds == 3 else "holds in this run")
  z2 = 1.959964**2
  assert judged.estimate.high == pytest.approx(z2 / (400 + z2), rel=1e-4)


@pytest.mark.parametrize(
  ("settings", "sentence"),
  [
    ({"attack": {**FGSM, "epsilon": 0.3}}, "attack: attack 'fgsm' must not set epsilon"),
    ({"attack": "fgsm"}, "studies.t.attack must be fields with values, got 'fgsm'"),
    ({"attack": {}}, "attack: attack needs a name"),
    ({"epsilons": (-0.2,)}, r"studies.t.epsilons\[0\] must be a number >= 0, got -0.2"),
    ({"examples": 38}, "examples must be between 1 and 37, got 38"),
    ({"overlap": {"models": "abc", "epsilon": 0.05}}, "overlap.models must be a list, got 'abc'"),
    ({"overlap": {"models": ("a", "b"), "epsilon": 0.05}}, "overlap.models must have 3 entries"),
    ({"overlap": {"models": ("a", "b", "b"), "epsilon": 0.05}}, "must have entries that differ"),
    ({"overlap": {"models": ("a", "b", "d"), "epsilon": 0.05}}, "models must be one of a, b, c"),
    ({"overlap": {"models": ("a", "b", "c"), "epsilon": 0.1}}, r"one of 0.0, 0.05, got 0.1"),
    ({"overlap": {"models": ("a", "b", "c")}}, "studies.t.overlap needs the field 'epsilon'"),
    ({"overlap": {"radius": 1}}, "field of studies.t.overlap must be one of models, epsilon"),
  ],
)
def test_bad_settings_are_refused_in_a_sentence_that_names_the_field(dataset, settings, sentence):
  read_study("t", ENTRY).check(MODULES, dataset)
  with pytest.raises((ValueError, TypeError), match=sentence):
    read_study("t", {**ENTRY, **settings}).check(MODULES, dataset)


@pytest.mark.parametrize("field", ["attack", "epsilons"])
def test_the_attack_and_the_radii_are_asked_for(field):
  entry = {name: value for name, value in ENTRY.items() if name != field}
  with pytest.raises(ValueError, match=f"studies.t needs the field '{field}'"):
    read_study("t", entry)
