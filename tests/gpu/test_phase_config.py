import dataclasses

import pytest

from gpu.orders import ORDERS, Phase
from gpu.phase_config import config_of

ROSS = ORDERS["ross2018"]


def test_the_first_phase_is_the_paper_s_training_of_four_networks_and_what_is_claimed_of_them():
  config = config_of(ROSS, ROSS.phases[0])
  assert list(config["models"]) == ["source", "undefended", "adversarial", "GR(y) 56234"]
  assert {(one["steps"], one["batch_size"]) for one in config["models"].values()} == {(15000, 256)}
  assert config["dataset"] == {"name": "npz", "path": ".gpu/mnist.npz", "validation": 5000}
  assert config["studies"]["FGSM"]["examples"] is None  # all 10,000
  attacked = config["studies"]["AutoAttack"]
  assert (attacked["examples"], attacked["epsilon"]) == (1000, 0.1)
  claims = {one["id"]: one for one in config["claims"]}
  assert {"C1 undefended", "goal AutoAttack"} <= {*claims}
  studies = {one["of"].split(".")[0] for one in claims.values() if "of" in one}
  assert "JSMA" not in studies
  assert not any("distilled" in str(one.get("at", "")) for one in claims.values())


@pytest.mark.parametrize("steps", [None, 5])
@pytest.mark.parametrize("paper", ORDERS)
def test_every_phase_is_a_part_of_its_papers_config(paper, steps):
  order = ORDERS[paper]
  for phase in order.phases:
    config = config_of(order, phase, steps=steps)
    assert config["models"]
    assert config["studies"]
    assert config["dataset"]["path"] == f".gpu/{order.dataset}.npz"
    for entry in (*config["models"].values(), *config["studies"].values()):
      assert {*(entry.get("seeds") or ())} <= {*config["seeds"]}


def test_the_last_phase_has_the_main_comparison_of_the_seeds_before_it():
  config = config_of(ROSS, ROSS.phases[-1])
  assert "distilled" in config["models"]
  assert "JSMA" in config["studies"]
  assert config["seeds"] == [0, 1, 2] == list(ROSS.phases[-2].seeds)
  assert any("distilled" in str(one.get("at", "")) for one in config["claims"])


def test_without_anything_left_out_the_claims_are_those_of_the_table():
  assert config_of(ROSS, Phase("all", (0,)))["claims"] == "ross2018_claims.toml"


def test_a_rehearsal_has_its_steps_few_seeds_and_images_and_short_attacks():
  config = config_of(ROSS, ROSS.phases[-1], steps=5)
  assert config["seeds"] == [0, 1]
  assert {one["steps"] for one in config["models"].values()} == {5}
  assert {one["examples"] for one in config["studies"].values() if "examples" in one} == {20}
  assert config["studies"]["AutoAttack"]["attacks"]["autoattack"]["steps"] == 2


@pytest.mark.parametrize(
  ("changes", "sentence"),
  [
    ({"phases": (Phase("a", (0,), ("undefnded",)),)}, "networks of a phase .*'undefended'"),
    ({"phases": (Phase("a", (0,), None, ("FGSN",)),)}, "studies of a phase .*'FGSM'"),
    ({"changes": {"studies.AutoAtack.examples": 1}}, "changes 'studies.AutoAtack.examples'"),
  ],
)
def test_a_name_that_the_experiment_has_not_is_refused_with_the_nearest(changes, sentence):
  order = dataclasses.replace(ROSS, **changes)
  with pytest.raises(ValueError, match=sentence):
    config_of(order, order.phases[0])
