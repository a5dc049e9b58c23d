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
