from collections.abc import Callable

import flax.linen as nn
import jax
import pytest

from robust_saliency import models


def test_an_unknown_name_or_field_is_refused_with_the_nearest_that_exists():
  with pytest.raises(ValueError, match=r"model must be one of .*; got 'digit' .*'digits'\?"):
    models.build("digit")
  with pytest.raises(ValueError, match=r"field of model 'ross' .*'dropout' .*'dropout_rate'\?"):
    models.build("ross", dropout=0.1)
  with pytest.raises(ValueError, match="field of model 'mlp'"):
    models.build("mlp", parent=None)


@pytest.mark.parametrize("name", models.names())
def test_every_model_has_the_common_attributes(name):
  module = models.build(name, num_classes=7, axis_name="batch")
  assert (module.num_classes, module.axis_name) == (7, "batch")


@pytest.mark.parametrize(
  ("fields", "sentence"),
  [
    ({"name": "mlp", "num_classes": 2.5}, "model 'mlp': num_classes must be a whole number"),
    ({"name": "mlp", "num_classes": -1}, "num_classes must be >= 1, got -1"),
    ({"name": "mlp", "hidden": "12"}, "model 'mlp': hidden must be a list, got '12'"),
    ({"name": "mlp", "hidden": (3, 2.5)}, r"model 'mlp': hidden\[1\] must be a whole number"),
    ({"name": "mlp", "dropout_rate": float("nan")}, "dropout_rate must be a finite number"),
    ({"name": "mlp", "kernel_init": 5}, "model 'mlp': kernel_init must be text"),
    ({"name": "digits", "batch_norm": "False"}, "batch_norm must be True or False, got 'False'"),
  ],
)
def test_values_that_a_field_s_annotation_does_not_allow_are_refused(fields, sentence):
  with pytest.raises((ValueError, TypeError), match=sentence):
    models.build(**fields)


def test_a_width_below_one_is_refused_where_the_network_is_made():
  module = models.build("mlp", hidden=(4, 0))
  with pytest.raises(ValueError, match=r"hidden\[1\] must be >= 1, got 0"):
    models.init(module, jax.random.key(0), (2, 2, 1))


def test_fields_of_other_types_are_left_to_the_module(monkeypatch):
  class Mine(nn.Module):
    num_classes: int = 10
    axis_name: str | None = None
    start: Callable = nn.initializers.ones
    scale: "NotThere" = 1.0  # noqa: F821

  monkeypatch.setitem(models.registry.MODELS, "mine", Mine)
  assert models.build("mine", start=len, scale="any").scale == "any"
