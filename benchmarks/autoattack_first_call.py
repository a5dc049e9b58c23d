"""AutoAttack's first verdict, with all that has to be compiled, beside torchattacks'.

  python benchmarks/autoattack_first_call.py    # writes benchmarks/results/autoattack_first_call.*

200 test digits, enlarged to 16x16, and a small convolutional network trained for 300 steps; both
packages start in a new process each time, turn by turn, and nothing is compiled before.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

EPSILONS = (0.1,)
PACKAGES = ("torchattacks", "ours")


def task() -> tuple[Any, Any, Any, Any]:
  """(variables, logits_fn, x, y) of the network and the images that are attacked."""
  import jax
  import numpy as np
  import optax

  from robust_saliency import data, models
  from robust_saliency.core import losses

  digits = data.load("digits")
  x, y = (
    np.concatenate([digits.to_float(digits.train.x), digits.to_float(digits.test.x)]),
    np.concatenate([digits.train.y, digits.test.y]),
  )
  x = np.repeat(np.repeat(x, 2, axis=1), 2, axis=2)
  module = models.build("digits")
  variables = models.init(module, jax.random.key(0), x.shape[1:])
  optimizer = optax.adam(2e-3)

  def loss(params: Any, x: Any, y: Any) -> Any:
    logits = models.logits_fn(module, {**variables, "params": params})(x)
    return losses.cross_entropy(logits, y).mean()

  @jax.jit
  def step(params: Any, state: Any, x: Any, y: Any) -> tuple[Any, Any]:
    updates, state = optimizer.update(jax.grad(loss)(params, x, y), state)
    return optax.apply_updates(params, updates), state

  params, random = variables["params"], np.random.default_rng(0)
  state = optimizer.init(params)
  for _ in range(300):
    rows = random.integers(0, len(digits.train), 128)
    params, state = step(params, state, x[rows], y[rows])
  variables = {**variables, "params": params}
  logits_fn = models.logits_fn(module, variables)
  return variables, logits_fn, x[-200:], y[-200:].astype(np.int32)


def measure(package: str, epsilon: float) -> dict[str, float]:
  """Seconds of one first call, and the share that it leaves robust."""
  if package == "torchattacks":
    import machine  # noqa: F401 - before torch
  variables, logits_fn, x, y = task()
  if package == "torchattacks":
    import torch_autoattack
    from torch_twin import Twin

    twin = Twin(variables)
    began = time.perf_counter()
    robust = torch_autoattack.robust(twin, x, y, norm="linf", epsilon=epsilon, seed=0)
    return {"seconds": time.perf_counter() - began, "robust": float(robust.mean())}
  import jax

  from robust_saliency import attacks

  began = time.perf_counter()
  verdicts = attacks.run_attacks(
    jax.random.key(0),
    logits_fn,
    x,
    y,
    attacks=attacks.autoattack_members(10, epsilon=epsilon),
    epsilon=epsilon,
  )
  return {
    "seconds": time.perf_counter() - began,
    "compiling": float(verdicts.compile_seconds.sum()),
    "robust": verdicts.accuracy,
  }


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--measure", choices=PACKAGES, help="print one process's numbers")
  parser.add_argument("--epsilon", type=float)
  parser.add_argument("--repeats", type=int, default=3)
  options = parser.parse_args()
  if options.measure:
    print(json.dumps(measure(options.measure, options.epsilon)))
    return
  import machine
  import timing

  times: dict[str, list[float]] = {}
  compiling, robust = {}, {}
  for _ in range(options.repeats):
    for epsilon in EPSILONS:
      for package in PACKAGES:
        name = f"{package}, epsilon {epsilon}"
        found = timing.in_a_new_process(__file__, f"--measure={package}", f"--epsilon={epsilon}")
        print(name, found, flush=True)
        times.setdefault(name, []).append(found["seconds"])
        robust[name] = found["robust"]
        if "compiling" in found:
          compiling[name] = found["compiling"]
  print(
    timing.report(
      "autoattack_first_call",
      f"{Path(__file__).stem}: the standard AutoAttack on 200 digits of 16x16, compiling included. "
      f"Shares left robust: {robust}.",
      times,
      compile_seconds=compiling,
      ratios={
        f"ours / torchattacks, epsilon {epsilon}": (
          f"ours, epsilon {epsilon}",
          f"torchattacks, epsilon {epsilon}",
          "<= 1",
        )
        for epsilon in EPSILONS
      },
      environment=machine.environment("jax", "jaxlib", "torch", "torchattacks"),
    )
  )


if __name__ == "__main__":
  main()
