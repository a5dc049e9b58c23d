"""Seeds that would train one network twice are refused."""

import re

import pytest

from robust_saliency.pipeline.seeds import distinct_seeds, refuse_copies
from robust_saliency.training import Recipe

PLAIN = {
  "architecture": {"name": "mlp"},
  "objective": {"cross_entropy": {}},
  "optimizer": {"name": "adam", "learning_rate": 0.01},
  "batch_size": 10,
  "steps": 3,
}
TAUGHT = {**PLAIN, "objective": {"distillation": {"temperature": 2.0}}}
PROBED = {**PLAIN, "probe": {"every": 10}, "log_every": 7}


@pytest.mark.parametrize(
  ("seeds", "error", "sentence"),
  [
    ([0, 0], ValueError, "seeds must differ, .*; got 0 at 0 and 1"),
    ([3, 1, 3], ValueError, "seeds must differ, .*; got 3 at 0 and 2"),
    ([0, 1.5], TypeError, r"seeds\[1\] must be a whole number .*, got 1.5"),
    (["12"], TypeError, r"seeds\[0\] must be a whole number .*, got '12'"),
    ([True], TypeError, r"seeds\[0\] must be a whole number .*, got True"),
    ([-1], ValueError, r"seeds\[0\] must be >= 0, got -1"),
    # JAX's key of 2**32 is that of 0.
    ([0, 2**32], ValueError, r"seeds\[1\] must be at most 4294967295, got 4294967296"),
    ("12", TypeError, "seeds must be whole numbers in a list or tuple, got '12'"),
    (3, TypeError, "seeds must be whole numbers in a list or tuple, got 3"),
  ],
)
def test_seeds_that_are_no_distinct_integers_are_refused_in_a_sentence(seeds, error, sentence):
  with pytest.raises(error, match=sentence) as caught:
    distinct_seeds(seeds)
  assert "\n" not in str(caught.value)


def test_distinct_integers_pass():
  assert distinct_seeds([0, 7, 2**32 - 1]) == [0, 7, 2**32 - 1]


def recipes(**models):
  return {name: Recipe.from_config(settings) for name, settings in models.items()}


@pytest.mark.parametrize(
  ("models", "seeds", "sentence"),
  [
    (
      {"source": {**PLAIN, "seed_offset": 1000}, "plain": PROBED}, [0, 1000],
      "model 'plain' of seed 1000 would be a copy of 'source' of seed 0: seed_offset must be "
      "larger than the seeds lie apart, got 0 and 1000",
    ),
    (
      {
        "teacher": PLAIN, "student": {**TAUGHT, "teacher": "teacher"},
        "other teacher": {**PLAIN, "seed_offset": 1},
        "other student": {**TAUGHT, "teacher": "other teacher", "seed_offset": 1},
      },
      [0, 1],
      "model 'other teacher' of seed 0 would be a copy of 'teacher' of seed 1",
    ),
    (
      {"plain": {**PLAIN, "seed_offset": 2**32 - 1}}, [0, 1],
      "model 'plain': seed_offset plus a seed must be < 2**32, got 4294967295 + 1",
    ),
  ],
)  # fmt: skip
def test_a_network_that_would_be_a_copy_of_another_seed_s_is_refused(models, seeds, sentence):
  with pytest.raises(ValueError, match=re.escape(sentence)):
    refuse_copies(recipes(**models), seeds)


@pytest.mark.parametrize(
  ("models", "seeds"),
  [
    ({"source": {**PLAIN, "seed_offset": 1000}, "plain": PLAIN}, [0, 1, 2]),
    # Another recipe of the same training seed is another network,
    ({"source": {**PLAIN, "steps": 4, "seed_offset": 1}, "plain": PLAIN}, [0, 1]),
    # and so is a student of another teacher.
    (
      {
        "teacher": PLAIN, "student": {**TAUGHT, "teacher": "teacher"},
        "other": {**TAUGHT, "teacher": "teacher", "seed_offset": 1},
      },
      [0, 1],
    ),
  ],
)  # fmt: skip
def test_networks_that_differ_pass(models, seeds):
  refuse_copies(recipes(**models), seeds)
