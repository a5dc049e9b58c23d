"""Timings of a benchmark as a result of which claims can ask."""

import json

import numpy as np

from robust_saliency.core import checks
from robust_saliency.results.result import EXAMPLE, SEED, Layout, Result

SECONDS, STEP = "seconds", "step"


def read_benchmark(text: str, *, name: str) -> Result:
  """What a file of `benchmarks/results/` has measured.

  Args:
    text: JSON with "seconds", step -> how long each repeat took, as many of all; the steps were
      timed in turns, so that their repeats are paired.
    name: the benchmark's.

  Returns:
    A result with the array "seconds" [step, seed, example], of one seed; the examples are repeats.

  Raises:
    ValueError: for other content.

  >>> timed = read_benchmark('{"seconds": {"plain": [1.0, 2.0], "double": [2.0, 4.0]}}', name="b")
  >>> timed.at("seconds", step="double").tolist()
  [[2.0, 4.0]]
  """
  with checks.naming(f"benchmark {name}"):
    try:
      content = json.loads(text)
      seconds = {
        str(step): np.array(of_step, np.float64) for step, of_step in content[SECONDS].items()
      }
      array = np.stack(list(seconds.values()))
    except RecursionError:
      raise ValueError(f"{SECONDS} must be numbers, got lists within lists without end") from None
    except (ArithmeticError, ValueError, TypeError, KeyError, AttributeError) as error:
      raise ValueError(f"{SECONDS} must hold as many numbers for each step: {error}") from None
    if array.ndim != 2 or not (np.isfinite(array).all() and (array > 0).all()):
      raise ValueError(f"{SECONDS} must be numbers above 0")
  layout = Layout(
    {SECONDS: (STEP, SEED, EXAMPLE)}, {STEP: tuple(seconds), SEED: (0,)}, units={SECONDS: "repeats"}
  )
  return Result(name, "benchmark", layout, {SECONDS: array[:, None]})
