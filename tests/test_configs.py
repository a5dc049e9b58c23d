import re

import pytest

from robust_saliency import configs

KINDS = {
  "dataset": ("mnist", "svhn"),
  "scale": ("small", "full"),
  "part": (None, "main"),
  "sweep": bool,
  "steps": int,
}


@pytest.mark.parametrize(
  ("text", "changes"),
  [
    ("", {}),
    (" , ", {}),
    ("svhn", {"dataset": "svhn"}),
    ("3000,full , main", {"steps": 3000, "scale": "full", "part": "main"}),
    ("sweep,small", {"sweep": True}),
  ],
)
def test_words_in_any_order_change_the_first_of_each_kind(text, changes):
  first = {"dataset": "mnist", "scale": "small", "part": None, "sweep": False, "steps": None}
  assert configs.variant(text, **KINDS) == {**first, **changes}


@pytest.mark.parametrize(
  ("text", "sentence"),
  [
    (
      "mnist,medium",
      "variant must be of mnist, svhn, small, full, main, sweep and a number of steps; "
      "got 'medium'",
    ),
    ("0", "and a number of steps; got '0'"),
    ("small,full", "variant must have one scale at most, got small and full"),
    ("mnist,mnist", "variant must have one data set at most, got mnist and mnist"),
    ("10,20", "variant must have one number of steps at most, got 10 and 20"),
    ("sweep,sweep", "variant must have one sweep at most, got sweep and sweep"),
  ],
)
def test_words_that_are_no_variant_are_refused(text, sentence):
  with pytest.raises(ValueError, match=re.escape(sentence)):
    configs.variant(text, **KINDS)


RECIPE = {
  "architecture": {"name": "mlp"},
  "optimizer": {"name": "adam", "learning_rate": 0.1, "eps": 1e-4},
  "steps": 10,
}


def test_a_network_has_its_recipe_and_what_is_its_own():
  one = configs.model({"cross_entropy": {}}, RECIPE, steps=20, teacher="a")
  assert list(one) == ["architecture", "objective", "optimizer", "steps", "teacher"]
  assert (one["steps"], one["teacher"], one["optimizer"]["learning_rate"]) == (20, "a", 0.1)


def test_epochs_and_a_learning_rate_take_the_place_of_the_recipe_s_and_leave_it_as_it_was():
  one = configs.model({}, RECIPE, epochs=4, learning_rate=1e-3)
  assert "steps" not in one
  assert one["optimizer"] == {"name": "adam", "learning_rate": 1e-3, "eps": 1e-4}
  assert "learning_rate" not in one
  assert (RECIPE["steps"], RECIPE["optimizer"]["learning_rate"]) == (10, 0.1)


def test_a_sweep_names_each_network_by_its_lambda():
  terms = configs.sweep("GR", "penalty", (0.01, 512, 1.5), unit=1 / 512, temperature=50.0)
  assert list(terms) == ["GR 1e-2", "GR 512", "GR 2"]
  assert terms["GR 512"] == {"penalty": {"weight": 1.0, "temperature": 50.0}}
  with pytest.raises(ValueError, match="more than their names show; two are 'GR 2'"):
    configs.sweep("GR", "penalty", (1.5, 2.0))


def test_studies_of_all_networks_may_be_of_all_seeds():
  parts = {"models": {"a": {}, "b": {}}, "studies": {"x": {}}}
  found = configs.first_seed_of_others(parts, ["a"], ["x"], shown=["x"])
  assert found["studies"] == {"x": {"models": ("a",)}, "x, first seed": {"seeds": (0,)}}


PARTS = {
  "models": {name: {} for name in ("source", "plain", "GR 1", "GR 2", "both")},
  "studies": {
    "lambda": {"families": {"GR": {"GR 1": 1, "GR 2": 2}, "other": {"both": 1}}},
    "clean": {"models": ("plain", "GR", "both")},
    "transfer": {"models": ("plain", "GR"), "overlap": {"models": ("plain", "GR", "both")}},
    "pictures": {"models": ("both",)},
  },
}


def test_without_some_networks_their_studies_families_and_overlaps_go_too():
  left = configs.only(PARTS, ("source", "plain", "GR"))
  assert list(left["models"]) == ["source", "plain", "GR 1", "GR 2"]
  assert left["studies"] == {
    "lambda": {"families": {"GR": {"GR 1": 1, "GR 2": 2}}},
    "clean": {"models": ("plain", "GR")},
    "transfer": {"models": ("plain", "GR")},
  }
  assert "overlap" in PARTS["studies"]["transfer"]


def test_maps_go_with_their_teacher_and_those_without_one_stay():
  maps = {"teacher's": {"teacher": "b"}, "edges": {"source": "edges", "teacher": None}}
  parts = {"models": {"a": 1, "b": 2}, "studies": maps}
  assert list(configs.only(parts, ["a"])["studies"]) == ["edges"]
  assert configs.only(parts, ["a", "b"])["studies"] == maps


def test_readers_that_are_left_out_are_no_readers_at_all():
  parts = {"models": {"a": 1, "b": 2}, "studies": {"x": {"models": ("a",), "readers": ("b", "a")}}}
  assert configs.only(parts, ["a"])["studies"]["x"]["readers"] == ("a",)
  parts["studies"]["x"]["readers"] = ("b",)
  assert configs.only(parts, ["a"])["studies"]["x"]["readers"] is None
