import pytest

from robust_saliency.training import Recipe, training_order
from robust_saliency.training.probe import check_probe


def recipe(*, teacher=None, source=None):
  objective = {"cross_entropy": {}} if teacher is None else {"distillation": {}}
  probe = None if source is None else {"source": source}
  return Recipe.from_config(
    {
      "architecture": {"name": "mlp"},
      "objective": objective,
      "optimizer": {"name": "sgd", "learning_rate": 0.1},
      "batch_size": 1,
      "steps": 1,
      "teacher": teacher,
      "probe": probe,
    }
  )


def test_each_model_comes_after_those_that_it_needs():
  recipes = {
    "student": recipe(teacher="plain", source="other"),
    "plain": recipe(source="other"),
    "alone": recipe(),
    "other": recipe(),
  }
  order = training_order(recipes)
  assert sorted(order) == sorted(recipes)
  places = {name: order.index(name) for name in recipes}
  assert places["other"] < places["plain"] < places["student"]


@pytest.mark.parametrize(
  ("recipes", "sentence"),
  [
    ({"a": recipe(source="b")}, "source of model 'a' must be one of a; got 'b'"),
    ({"a": recipe(source="a")}, "models must not need one another, .*'a', which needs 'a'$"),
    (
      {"a": recipe(source="b"), "b": recipe(source="c"), "c": recipe(source="b")},
      "got 'b', which needs 'c', which needs 'b'$|got 'c', which needs 'b', which needs 'c'$",
    ),
    (
      {"a": recipe(teacher="b"), "b": recipe(teacher="c"), "c": recipe()},
      "teacher of model 'a' must not have a teacher itself",
    ),
  ],
)
def test_needs_that_cannot_be_met_are_refused(recipes, sentence):
  with pytest.raises(ValueError, match=sentence):
    training_order(recipes)


@pytest.mark.parametrize("temperature", [None, "hot", "3", [1, 2], {}, -1, 0, True])
def test_a_teacher_s_temperature_is_checked_before_it_is_compared(temperature):
  with pytest.raises((ValueError, TypeError), match="temperature must be"):
    Recipe.from_config(
      {
        "architecture": {"name": "mlp"},
        "objective": {"distillation": {"temperature": temperature}},
        "optimizer": {"name": "sgd", "learning_rate": 0.1},
        "batch_size": 1,
        "steps": 1,
        "teacher": "plain",
      }
    )


def test_the_radius_of_a_probe_is_one_number():
  with pytest.raises(ValueError, match="epsilon must be one number"):
    check_probe({"source": "a", "epsilon": [0.1, 0.2]})


def test_an_objective_without_terms_is_not_said_to_lack_a_teacher():
  with pytest.raises(ValueError, match="objective needs at least one term of cross_entropy"):
    Recipe.from_config(
      {
        "architecture": {"name": "mlp"},
        "objective": {},
        "optimizer": {"name": "sgd", "learning_rate": 0.1},
        "batch_size": 1,
        "steps": 1,
        "teacher": "plain",
      }
    )
