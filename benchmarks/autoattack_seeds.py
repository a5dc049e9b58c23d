"""How far AutoAttack's verdicts depend on the seed, ours and torchattacks': images at the edge.

  python benchmarks/autoattack_seeds.py --workdir=runs/verdicts

starts from `autoattack_verdicts.py` and its networks. Two seeds cannot tell chance from weakness:
here the images that a seed may decide are attacked with four seeds of each. They are those whose
nearest adversarial image, by FAB, is between 0.98 and 1.1 epsilons away, and all about which the
three verdicts known already differ (so far, all of these were at the edge); the others keep the
verdict that all three gave. Cases that are in the results already are left alone. Writes
benchmarks/results/autoattack_seeds.{npz,json,md}. About ten minutes a case on one CPU core, hence
--networks and --cases; seven of thirteen are committed, those with the most disputed verdicts.
"""

import machine  # before all others

# isort: split
import argparse
import functools
import itertools
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
import torch_autoattack
from autoattack_verdicts import (
  NETWORKS,
  RESULTS,
  THREATS,
  experiments,
  keep,
  known,
  our_verdicts,
)
from torch_twin import Twin

from robust_saliency.attacks import fab
from robust_saliency.attacks.evaluation import pitfalls
from robust_saliency.core import get_norm
from robust_saliency.training import TrainedNetwork

EDGE = (0.98, 1.1)


def arguments() -> argparse.Namespace:
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--workdir", type=Path, required=True)
  parser.add_argument("--verdicts", type=Path, default=RESULTS / "autoattack_verdicts")
  parser.add_argument("--seeds", type=int, default=4)
  parser.add_argument("--networks", default=",".join(NETWORKS))
  parser.add_argument("--cases", default="", help="only those with this in their name, e.g. l2")
  parser.add_argument("--out", type=Path, default=RESULTS / "autoattack_seeds")
  return parser.parse_args()


def at_the_edge(
  trained: TrainedNetwork, x: np.ndarray, y: np.ndarray, norm: str, epsilon: float
) -> np.ndarray:
  """Of N images those whose nearest adversarial image is about epsilon away, bool [N]."""
  attack = jax.jit(functools.partial(fab, norm=norm, unroll=False), static_argnums=1)
  nearest = attack(jax.random.key(0), trained.logits_fn, x, y)
  distance = np.asarray(jax.vmap(get_norm(norm).length)(nearest - x)) / epsilon
  low, high = EDGE
  return (low <= distance) & (distance <= high)


def verdicts(
  trained: TrainedNetwork,
  x: np.ndarray,
  y: np.ndarray,
  norm: str,
  epsilon: float,
  seeds: int,
  numbers: dict[str, Any],
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
  """(verdicts [seeds, N] of each, seconds of each)."""
  twin = Twin(trained.variables)
  began = time.monotonic()
  theirs = [
    torch_autoattack.robust(twin, x, y, norm=norm, epsilon=epsilon, seed=seed, **numbers)
    for seed in range(seeds)
  ]
  halfway = time.monotonic()
  ours = [
    our_verdicts(trained, x, y, norm=norm, epsilon=epsilon, seed=seed, **numbers).robust
    for seed in range(seeds)
  ]
  seconds = {"torchattacks": halfway - began, "ours, with compiling": time.monotonic() - halfway}
  return {"ours": np.array(ours), "torchattacks": np.array(theirs)}, seconds


def differing(pairs: Any) -> tuple[float, int]:
  """(mean, largest) number of images about which two seeds differ, over pairs of seeds."""
  counts = [int(np.count_nonzero(one != other)) for one, other in pairs]
  return float(np.mean(counts)), max(counts)


def summary(ours: np.ndarray, theirs: np.ndarray, sure: int, examples: int) -> dict[str, Any]:
  """A case's numbers; `sure` are the images that are robust without being at the edge."""
  return {
    "seeds": len(ours),
    "at the edge": ours.shape[1],
    "robust, ours": [(sure + int(one.sum())) / examples for one in ours],
    "robust, torchattacks": [(sure + int(one.sum())) / examples for one in theirs],
    "differ, torchattacks' seeds": differing(itertools.combinations(theirs, 2)),
    "differ, our seeds": differing(itertools.combinations(ours, 2)),
    "differ, one of each": differing(itertools.product(ours, theirs)),
    "never broken by torchattacks, once by ours": int((theirs.all(0) & ~ours.all(0)).sum()),
    "never broken by ours, once by torchattacks": int((ours.all(0) & ~theirs.all(0)).sum()),
  }


def table(cases: dict[str, dict[str, Any]]) -> str:
  lines = [
    "| network, threat | at the edge | robust: torchattacks | ours | differ: its seeds, mean "
    "(most) | ours and its | our seeds | only ours breaks | only it breaks |",
    "|---|---|---|---|---|---|---|---|---|",
  ]
  for case, found in cases.items():
    robust = [
      f"{np.mean(found[who]):.2%} ({min(found[who]):.1%} to {max(found[who]):.1%})"
      for who in ("robust, torchattacks", "robust, ours")
    ]
    differ = [
      "{:.1f} ({})".format(*found[f"differ, {who}"])
      for who in ("torchattacks' seeds", "one of each", "our seeds")
    ]
    only = [
      str(found[f"never broken by {one}, once by {other}"])
      for one, other in (("torchattacks", "ours"), ("ours", "torchattacks"))
    ]
    lines.append(f"| {' | '.join([case, str(found['at the edge']), *robust, *differ, *only])} |")
  return "\n".join(lines)


def main() -> None:
  given = arguments()
  torch.set_num_threads(machine.CORES)
  numbers: dict[str, Any] = {"steps": 100, "queries": 5000}
  before, about_before = known(given.verdicts)
  arrays, facts = known(given.out)
  cases, warnings = facts.get("cases", {}), facts.get("zero-gradient warnings", {})

  def write() -> None:
    about = {
      "what": "verdicts [seeds, images]: whether these of the first test images are robust to the "
      "standard version",
      "edge": EDGE,
      "settings": numbers,
      "environment": machine.environment("jax", "torch", "torchattacks"),
      "zero-gradient warnings": warnings,
      "cases": cases,
    }
    keep(given.out, arrays, about, "AutoAttack's verdicts by seed", table(cases))

  for dataset, experiment in experiments(given.workdir, given.networks.split(",")).items():
    trained = experiment.trained(experiment.compute())
    test = experiment.plan.dataset.test.take(slice(about_before["settings"]["examples"]))
    x, y = experiment.plan.dataset.to_float(test.x), test.y
    for name in [name for name in trained if name in given.networks.split(",")]:
      network = trained[name][0]
      warnings[name] = pitfalls.zero_gradients(network.logits_fn, jnp.asarray(x), jnp.asarray(y))
      for norm, epsilon in THREATS[dataset]:
        case = f"{name}, {norm} {epsilon:.3g}"
        if case in cases or given.cases not in case:
          continue
        correct, ours, theirs = (
          before[f"{case}/{field}"] for field in ("correct", "ours", "torchattacks")
        )
        disputed = (theirs != ours).any(0)
        edge = at_the_edge(network, x, y, norm, epsilon) & correct
        chosen = np.flatnonzero(disputed | edge)
        print(
          f"{case}: {len(chosen)} images, {np.count_nonzero(disputed & ~edge)} of them disputed "
          "without being at the edge",
          flush=True,
        )
        if not len(chosen):
          continue
        found, seconds = verdicts(
          network, x[chosen], y[chosen], norm, epsilon, given.seeds, numbers
        )
        sure = int(ours.sum() - ours[chosen].sum())
        arrays |= {f"{case}/{who}": array for who, array in found.items()}
        arrays[f"{case}/images"] = chosen
        cases[case] = summary(found["ours"], found["torchattacks"], sure, len(ours))
        cases[case]["seconds"] = seconds
        write()
        print(table({case: cases[case]}).splitlines()[-1], flush=True)
  write()


if __name__ == "__main__":
  main()
