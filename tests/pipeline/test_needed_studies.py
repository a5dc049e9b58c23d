"""A study that reads what another has found: its place, its refusals, when it is redone."""

import copy

import numpy as np
import pytest

from robust_saliency.pipeline import Experiment
from robust_saliency.pipeline.plan import Plan

NETWORK = {
  "architecture": {"name": "mlp", "hidden": ()},
  "objective": {"cross_entropy": {}},
  "optimizer": {"name": "sgd", "learning_rate": 0.1},
  "batch_size": 100,
  "steps": 4,
}
MASKS = {
  "kind": "roar",
  "maps": {"variance": {"study": "class maps", "map": "variance"}},
  "retraining": NETWORK,
  "fractions": (0.5,),
  "protocols": ("KAR",),
  "train_examples": 200,
  "scored_examples": 50,
}
MAPS = {
  "kind": "class_maps",
  "maps": {"variance": {"control": "variance"}, "random": {"control": "random"}},
  "segments": "pixels",
  "of_each_class": 4,
  "sizes": (1,),
}


def config(**changes):
  found = {
    "title": "Masks of classes",
    "dataset": {"name": "digits"},
    "seeds": (0, 1),
    "models": {"net": NETWORK},
    # In the order of the report, in which the maps come after what reads them.
    "studies": {"masks": copy.deepcopy(MASKS), "class maps": copy.deepcopy(MAPS)},
  }
  for place, value in changes.items():
    *parents, field = place.split("/")
    entry = found["studies"]
    for name in parents:
      entry = entry[name]
    entry[field] = value
  return found


def test_a_study_comes_after_those_whose_results_it_reads(tmp_path):
  names = [stage.name for stage in Plan(config(), folder=tmp_path).stages]
  assert names.index("study class maps") < names.index("study masks")


@pytest.mark.parametrize(
  ("changes", "sentence"),
  [
    ({"masks/maps/variance/study": "class map"}, "study 'masks': .*did you mean 'class maps'"),
    ({"masks/maps/variance/study": "masks"}, "study 'masks': study of its maps must be one of"),
    ({"masks/maps/variance/map": "varianc"}, "study 'masks': maps.variance.map .*'variance'"),
    ({"class maps": {"kind": "accuracy"}}, "must be of kind 'class_maps', got 'class maps' of"),
    ({"class maps/seeds": (0,)}, r"study 'class maps', whose maps it needs, .*\[1\] are missing"),
  ],
)
def test_what_another_study_does_not_give_is_refused_before_training(changes, sentence, tmp_path):
  with pytest.raises(ValueError, match=sentence):
    Plan(config(**changes), folder=tmp_path)


@pytest.mark.slow
def test_a_study_is_measured_again_where_what_it_reads_has_changed(tmp_path):
  def results(**changes):
    experiment = Experiment(config(**changes), tmp_path, rerun_changed=True)
    done = experiment.compute()
    return {
      name: (done[stage].computed, done[stage].result)
      for name, stage in experiment.plan.studies.items()
    }

  first = results()
  assert [computed for computed, _ in first.values()] == [True, True]
  assert np.isfinite(first["masks"][1].arrays["accuracy"]).all()
  assert [computed for computed, _ in results().values()] == [False, False]
  # Nothing in its own settings is different.
  again = results(**{"class maps/maps/random": {"control": "anova_f"}})
  assert [computed for computed, _ in again.values()] == [True, True]
