import dataclasses

import numpy as np
import pytest

from robust_saliency import models
from robust_saliency.attacks import ATTACKS
from robust_saliency.attributions import ATTRIBUTIONS
from robust_saliency.attributions.local.superpixels import SEGMENTATIONS
from robust_saliency.core.binding import bind, settings_of
from robust_saliency.objectives import TERMS, weighted_sum
from robust_saliency.studies import read_study
from robust_saliency.training.optimizers import OPTIMIZERS, get_optimizer
from robust_saliency.training.schedules import SCHEDULES, get_schedule

# What a registry holds -> it, and what its callers give themselves.
REGISTRIES = {
  "attack": (ATTACKS, ()),
  "attribution": (ATTRIBUTIONS, ()),
  "segments": (SEGMENTATIONS, ()),
  "objective term": ({name: term.function for name, term in TERMS.items()}, ()),
  "optimizer": (OPTIMIZERS, ()),
  "schedule": (SCHEDULES, ("steps_per_epoch", "total_steps")),
}


def scale(x, *, by=1, then=0):
  return x * by + then


def shift(x, *, by=0):
  return x + by


REGISTRY = {"scale": scale, "shift": shift}


def test_the_named_function_gets_its_settings():
  assert bind(REGISTRY, {"name": "scale", "by": 3, "then": 1}, what="function")(2) == 7
  assert bind(REGISTRY, {"name": "shift"}, what="function")(2) == 2


def test_what_is_left_out_can_be_given_at_the_call():
  assert bind(REGISTRY, {"name": "scale", "by": 3}, what="function")(2, then=5) == 11


def test_a_missing_name_is_refused():
  with pytest.raises(ValueError, match=r"function needs a name, one of scale, shift; got .*3"):
    bind(REGISTRY, {"by": 3}, what="function")


def test_an_unknown_name_is_refused_with_the_nearest():
  with pytest.raises(ValueError, match=r"function must be one of .*; got 'sale'.*mean 'scale'"):
    bind(REGISTRY, {"name": "sale"}, what="function")


def test_an_unknown_setting_is_refused_with_the_nearest():
  with pytest.raises(ValueError, match=r"setting of function 'scale' must be .* got 'thn'.*'then'"):
    bind(REGISTRY, {"name": "scale", "thn": 3}, what="function")


def test_positional_arguments_are_no_settings():
  with pytest.raises(ValueError, match="setting of function 'scale' must be one of by, then"):
    bind(REGISTRY, {"name": "scale", "x": 3}, what="function")


REQUIRED = [
  (what, registry, name, setting, later)
  for what, (registry, later) in REGISTRIES.items()
  for name, function in registry.items()
  for setting, parameter in settings_of(function).items()
  if parameter.default is parameter.empty and setting not in later
]


def test_the_registries_have_members_that_need_settings():
  assert {what for what, *_ in REQUIRED} == set(REGISTRIES) - {"attribution", "segments"}
  assert len(REQUIRED) >= 10


@pytest.mark.parametrize(
  ("what", "registry", "name", "setting", "later"),
  REQUIRED,
  ids=[f"{what}-{name}-{setting}" for what, _, name, setting, _ in REQUIRED],
)
def test_what_a_member_of_a_registry_needs_is_asked_for(what, registry, name, setting, later):
  given = {
    one: 1
    for one, parameter in settings_of(registry[name]).items()
    if parameter.default is parameter.empty and one not in later
  }
  bind(registry, {"name": name, **given}, what=what, later=later)
  del given[setting]
  with pytest.raises(ValueError, match=f"{what} '{name}' needs the setting '{setting}'"):
    bind(registry, {"name": name, **given}, what=what, later=later)


@pytest.mark.parametrize(
  ("call", "sentence"),
  [
    (lambda: get_optimizer({"name": "adam"}), "optimizer needs a learning_rate"),
    (
      lambda: get_schedule({"name": "step_decay"}, steps_per_epoch=1, total_steps=2),
      "schedule 'step_decay' needs the setting 'epochs'",
    ),
    (
      lambda: weighted_sum({"adversarial": {"attack": {"name": "fgsm"}}}),
      "attack 'fgsm' needs the setting 'epsilon'",
    ),
    (lambda: read_study("t", {"kind": "transfer", "epsilons": (0.1,)}), "the field 'attack'"),
    (lambda: models.build("needy"), "model 'needy' needs the field 'width'"),
  ],
)
def test_the_functions_that_read_configs_ask_for_it(call, sentence, monkeypatch):
  needy = dataclasses.make_dataclass("Needy", [("width", int), ("depth", int, 1)])
  monkeypatch.setitem(models.registry.MODELS, "needy", needy)
  with pytest.raises(ValueError, match=sentence):
    call()


@pytest.mark.parametrize(
  ("value", "sentence"),
  [
    ({"flag": "False"}, "flag must be True or False, got 'False'"),
    ({"by": "3"}, "by must be a number, got '3'"),
    ({"by": None}, "by must not be None; leave it out for 1"),
    ({"by": 10**400}, "by must be at most 2147483647"),
  ],
)
def test_values_that_no_function_can_mean_are_refused(value, sentence):
  def switch(x, *, flag=False, by=1):
    return x

  with pytest.raises((ValueError, TypeError), match=sentence):
    bind({"switch": switch}, {"name": "switch", **value}, what="function")


@pytest.mark.parametrize("settings", [None, "scale", 5, ["name"]])
def test_settings_that_are_no_mapping_are_refused(settings):
  with pytest.raises(TypeError, match="settings of function must be a mapping such as"):
    bind(REGISTRY, settings, what="function")


def test_what_the_caller_has_taken_away_is_suggested_too():
  with pytest.raises(ValueError, match=r"one of by, weight; got 'weigt' \(did you mean 'weight'"):
    bind(REGISTRY, {"name": "shift", "weigt": 3}, what="function", also=("weight",))


def test_a_name_of_any_type_is_refused():
  for name in (None, 5, ["scale"], {"a": 1}, 10**5000, np.array(["scale", "shift"])):
    with pytest.raises(ValueError, match="function must be one of scale, shift; got"):
      bind(REGISTRY, {"name": name}, what="function")
