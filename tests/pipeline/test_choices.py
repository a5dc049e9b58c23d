"""Models whose weights follow from a choice, and models of fewer seeds than the experiment's."""

import json

import jax
import numpy as np
import pytest

from robust_saliency.pipeline import Experiment, read_networks
from robust_saliency.training import checkpoints

TERM = "input_gradient_penalty"
PROBE = {"every": 6, "examples": 20}
PLAIN = {
  "architecture": {"name": "mlp", "hidden": (8,)},
  "objective": {"cross_entropy": {"weight": 1.0}},
  "optimizer": {"name": "adam", "learning_rate": 0.01},
  "batch_size": 100,
  "steps": 6,
}


def penalised(weight, **more):
  return {**PLAIN, "objective": {**PLAIN["objective"], TERM: {"weight": weight}}, **more}


def config(**models):
  return {
    "title": "A choice",
    "dataset": {"name": "digits", "validation": 50},
    "seeds": (0, 1),
    "models": {
      "source": {**PLAIN, "seed_offset": 100},
      "plain": {**PLAIN, "probe": PROBE},
      "GR": penalised(1.0, choices={TERM: "GR"}, probe=PROBE),
      "half": penalised(0.5, choices={TERM: "GR"}),
      "GR 1": penalised(1.0, seeds=(0,), probe=PROBE),
      "GR 2": penalised(2.0, seeds=(0,), probe=PROBE),
      **models,
    },
    "studies": {
      "accuracy": {"kind": "accuracy", "models": ("plain", "GR"), "examples": 20},
      "of the first": {"kind": "accuracy", "seeds": (0,), "examples": 20},
      "lambda": {
        "kind": "selection",
        "families": {"GR": {"GR 1": 1.0, "GR 2": 2.0}},
        "reference": "plain",
        "source": "source",
        "attack": {"name": "fgsm"},
        "epsilon": 0.05,
        "keep": 0.0,
        # All are as good as equal, so that the larger number is chosen.
        "standard_errors": 100,
        "seeds": (0,),
      },
    },
    "claims": [
      {
        "id": name,
        "says": "It learns.",
        "of": "training.last",
        "at": {"metric": "probe_accuracy", "model": name},
        "at_least": 0.0,
      }
      for name in ("GR", "GR 2")
    ],
  }


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
  """The directory, and the folders in which something was trained."""
  workdir, trained = tmp_path_factory.mktemp("choices"), set()
  save = checkpoints.save
  with pytest.MonkeyPatch.context() as patched:
    patched.setattr(
      checkpoints, "save", lambda at, *a, **k: trained.add(str(at.parent)) or save(at, *a, **k)
    )
    Experiment(config(), workdir).run(command="")
  return workdir, trained


def same(a, b):
  leaves = zip(jax.tree.leaves(a.variables), jax.tree.leaves(b.variables), strict=True)
  return all(np.array_equal(x, y) for x, y in leaves)


def test_a_model_takes_its_weight_from_the_choice_and_is_trained_with_all_seeds(finished, tmp_path):
  _, networks = read_networks(finished[0])
  assert {name: [one.seed for one in of] for name, of in networks.items()} == {
    **{name: [0, 1] for name in ("source", "plain", "GR", "half")},
    **{name: [0] for name in ("GR 1", "GR 2")},
  }
  # What it should be, trained without a choice; the half of 2 is 1.
  by_hand = {"plain": PLAIN, "of 1": penalised(1.0), "of 2": penalised(2.0)}
  plan = {**config(), "models": by_hand, "studies": {}, "claims": []}
  experiment = Experiment(plan, tmp_path)
  expected = experiment.trained(experiment.compute())
  for name, other in (("GR", "of 2"), ("half", "of 1")):
    assert [same(a, b) for a, b in zip(networks[name], expected[other], strict=True)] == [True] * 2


def test_the_chosen_candidate_itself_is_not_trained_twice(finished):
  workdir, trained = finished
  _, networks = read_networks(workdir)
  assert same(networks["GR"][0], networks["GR 2"][0])
  models = workdir / "models"
  assert str(models / "gr" / "seed_1") in trained
  assert str(models / "gr" / "seed_0") not in trained
  record = json.loads((models / "gr" / "seed_0" / "stage.json").read_text())
  assert record["follows_from"]["settings"]["recipe"]["objective"][TERM] == {"weight": 2.0}


def test_studies_have_the_seeds_that_their_networks_have(finished):
  of = {}
  for name in ("accuracy", "of-the-first", "lambda"):
    (path,) = (finished[0] / "studies").glob(f"{name.replace('-', '?')}/result.json")
    of[name] = json.loads(path.read_text())["layout"]["coordinates"]
  assert [one["seed"] for one in of.values()] == [[0, 1], [0], [0]]
  assert of["accuracy"]["model"] == ["plain", "GR"]


def test_a_claim_about_training_is_judged_by_the_seeds_that_there_are(finished):
  claims = json.loads((finished[0] / "data" / "claims.json").read_text())
  assert [claim["networks"] for claim in claims] == [2, 1]
  assert all(claim["value"] > 0 for claim in claims)


@pytest.mark.slow
def test_a_finished_choice_computes_nothing_again(finished, monkeypatch):
  monkeypatch.setattr(checkpoints, "save", lambda *a, **k: pytest.fail("a step was taken"))
  monkeypatch.setattr(
    "robust_saliency.pipeline.stages.run_study", lambda *a, **k: pytest.fail("run")
  )
  Experiment(config(), finished[0]).run(command="")


@pytest.mark.parametrize(
  ("change", "sentence"),
  [
    ({"half": penalised(0.5, choices={TERM: "RG"})}, r"choices of term .*; got 'RG'"),
    ({"half": penalised(0.5, choices={"cross": "GR"})}, "term of choices must be one of cross_ent"),
    (
      {"plain": penalised(0.5, choices={TERM: "GR"})},
      "need one another; got model 'plain', which needs study 'lambda', which needs model 'plain'",
    ),
    ({"GR": penalised(1.0)}, "families must not have the name of a trained network, got 'GR'"),
    ({"source": {**PLAIN, "seeds": (1,)}}, "'source' is not with"),
    ({"plain": {**PLAIN, "seeds": (0,)}}, "its networks are trained with different seeds, 'plain'"),
  ],
)
def test_choices_and_seeds_that_do_not_fit_are_refused_before_anything_runs(
  change, sentence, tmp_path
):
  with pytest.raises(ValueError, match=sentence):
    Experiment(config(**change), tmp_path)
