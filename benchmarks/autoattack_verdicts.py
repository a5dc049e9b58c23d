"""AutoAttack's verdicts beside torchattacks', on trained networks with the same weights.

  python benchmarks/autoattack_verdicts.py --workdir=runs/verdicts

writes benchmarks/results/autoattack_verdicts.{npz,json,md}: which of the first 200 test images
are robust to the standard version, by torchattacks' attacks with two seeds and by ours. Networks
are trained in --workdir first; cases that the .npz has already are left alone. Hours on two CPU
cores for everything: --networks, --threats, --examples and --seeds take less.
"""

import machine  # before all others

# isort: split
import argparse
import io
import json
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
import torch
import torch_autoattack
from torch_twin import Twin

from robust_saliency.attacks import Verdicts, autoattack_members, run_attacks
from robust_saliency.core import files
from robust_saliency.pipeline import Experiment
from robust_saliency.training import TrainedNetwork

RESULTS = Path(__file__).parent / "results"


def network(objective: dict[str, Any], **settings: Any) -> dict[str, Any]:
  return {
    "architecture": {"name": "digits"},
    "objective": objective,
    "optimizer": {"name": "adam", "learning_rate": 2e-3},
    "batch_size": 128,
    "steps": 500,
    **settings,
  }


def attacked(epsilon: float, step_size: float, steps: int) -> dict[str, Any]:
  """Half of the loss is that of clean images: without it, nothing is learnt in so few steps."""
  attack = {"name": "pgd", "epsilon": epsilon, "step_size": step_size, "steps": steps}
  attack |= {"keep": "last", "unroll": False}
  adversarial = {"attack": attack, "attack_mode": "evaluation", "weight": 0.5}
  return {"cross_entropy": {"weight": 0.5}, "adversarial": adversarial}


PENALTY = {"weight": 0.3, "scaling": "per_example"}
EXPERIMENTS: dict[str, dict[str, Any]] = {
  "mnist": {
    "standard": network({"cross_entropy": {}}),
    "pgd": network(attacked(0.2, 0.05, 7)),
    "gradient": network({"cross_entropy": {}, "input_gradient_penalty": PENALTY}),
    "teacher": network({"cross_entropy": {"temperature": 50.0}}),
    "distilled": network({"distillation": {"temperature": 50.0}}, teacher="teacher"),
  },
  "cifar10": {"cifar10": network(attacked(8 / 255, 4 / 255, 3))},
}
THREATS = {
  "mnist": [("linf", 0.1), ("linf", 0.3), ("l2", 1.5)],
  "cifar10": [("linf", 8 / 255)],
}
NETWORKS = ["standard", "pgd", "gradient", "distilled", "cifar10"]


def arguments() -> argparse.Namespace:
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--workdir", type=Path, required=True)
  parser.add_argument("--networks", default=",".join(NETWORKS))
  parser.add_argument("--examples", type=int, default=200)
  parser.add_argument("--seeds", default="0,1")
  parser.add_argument("--threats", default="", help="of each data set, e.g. 0,2; default: all")
  parser.add_argument("--steps", type=int, default=100)
  parser.add_argument("--queries", type=int, default=5000)
  parser.add_argument("--out", type=Path, default=RESULTS / "autoattack_verdicts")
  return parser.parse_args()


def experiments(workdir: Path, names: list[str]) -> dict[str, Experiment]:
  """Only the networks that are asked for, and their teachers, are trained."""
  made = {}
  for dataset, recipes in EXPERIMENTS.items():
    wanted = {name: recipes[name] for name in recipes if name in names}
    for recipe in list(wanted.values()):
      if "teacher" in recipe:
        wanted["teacher"] = recipes["teacher"]
    if wanted:
      folder = workdir / "-".join([dataset, *sorted(wanted)])
      made[dataset] = Experiment(
        {"title": dataset, "dataset": {"name": dataset}, "seeds": [0], "models": wanted}, folder
      )
  return made


def our_verdicts(
  trained: TrainedNetwork,
  x: np.ndarray,
  y: np.ndarray,
  *,
  norm: str,
  epsilon: float,
  seed: int,
  **numbers: Any,
) -> Verdicts:
  """As `torch_autoattack.robust`, with all that is known about the attacks."""
  return run_attacks(
    jax.random.key(seed),
    trained.logits_fn,
    x,
    y,
    attacks=autoattack_members(10, norm=norm, epsilon=epsilon, **numbers),
    norm=norm,
    epsilon=epsilon,
    batch_size=len(y),
  )


def compare(
  trained: TrainedNetwork,
  x: np.ndarray,
  y: np.ndarray,
  norm: str,
  epsilon: float,
  given: argparse.Namespace,
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
  """(arrays, seconds) of one network and threat."""
  seeds = [int(seed) for seed in given.seeds.split(",")]
  numbers = {"steps": given.steps, "queries": given.queries}
  twin = Twin(trained.variables)
  began = time.monotonic()
  theirs = [
    torch_autoattack.robust(twin, x, y, norm=norm, epsilon=epsilon, seed=seed, **numbers)
    for seed in seeds
  ]
  seconds = {"torchattacks": (time.monotonic() - began) / len(seeds)}
  began = time.monotonic()
  ours = our_verdicts(trained, x, y, norm=norm, epsilon=epsilon, seed=0, **numbers)
  seconds["ours, with compiling"] = time.monotonic() - began
  seconds["ours"] = float(ours.seconds.sum())
  arrays = {"correct": ours.correct, "ours": ours.robust, "torchattacks": np.array(theirs)}
  return arrays, seconds


def table(arrays: dict[str, np.ndarray], seconds: dict[str, Any]) -> str:
  cases = sorted(seconds, key=lambda case: NETWORKS.index(case.split(",")[0]))
  lines = [
    "| network, threat | clean | torchattacks, by seed | ours | other verdicts, by seed | "
    "seeds differ | seconds: theirs | ours |",
    "|---|---|---|---|---|---|---|---|",
  ]
  for case in cases:
    ours, theirs = arrays[f"{case}/ours"], arrays[f"{case}/torchattacks"]
    robust = ", ".join(f"{one.mean():.1%}" for one in theirs)
    other = ", ".join(str(np.count_nonzero(one != ours)) for one in theirs)
    between = np.count_nonzero(theirs[0] != theirs[-1])
    lines.append(
      f"| {case} | {arrays[f'{case}/correct'].mean():.1%} | {robust} | {ours.mean():.1%} | "
      f"{other} of {len(ours)} | {between} | {seconds[case]['torchattacks']:.0f} | "
      f"{seconds[case]['ours']:.0f} |"
    )
  return "\n".join(lines)


def known(results: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
  """(arrays, metadata) of what has been found before; empty if nothing was."""
  npz, facts = results.with_suffix(".npz"), results.with_suffix(".json")
  if not facts.exists():
    return {}, {}
  with np.load(io.BytesIO(files.read_verified(npz)), allow_pickle=False) as archive:
    arrays = dict(archive)
  return arrays, json.loads(files.read_verified(facts))


def keep(
  results: Path, arrays: dict[str, np.ndarray], facts: dict[str, Any], title: str, text: str
) -> None:
  """Writes what has been found: the arrays, the metadata, and a table for readers."""
  files.write_with_digest(results.with_suffix(".npz"), files.npz(arrays))
  files.write_with_digest(results.with_suffix(".json"), files.json_text(facts).encode())
  files.write_bytes(results.with_suffix(".md"), f"# {title}\n\n{text}\n".encode())


def main() -> None:
  given = arguments()
  torch.set_num_threads(machine.CORES)
  arrays, before = known(given.out)
  seconds = before.get("seconds", {})
  names = given.networks.split(",")
  chosen = [int(i) for i in given.threats.split(",")] if given.threats else None
  for dataset, experiment in experiments(given.workdir, names).items():
    trained = experiment.trained(experiment.compute())
    test = experiment.plan.dataset.test.take(slice(given.examples))
    x = experiment.plan.dataset.to_float(test.x)
    threats = [t for i, t in enumerate(THREATS[dataset]) if chosen is None or i in chosen]
    for norm, epsilon in threats:
      for name in trained:
        case = f"{name}, {norm} {epsilon:.3g}"
        if name not in names or case in seconds:
          continue
        found, seconds[case] = compare(trained[name][0], x, test.y, norm, epsilon, given)
        arrays |= {f"{case}/{field}": array for field, array in found.items()}
        # Another process may be at other cases.
        their_arrays, before = known(given.out)
        arrays, seconds = their_arrays | arrays, before.get("seconds", {}) | seconds
        about = {
          "what": "bool [N] of the first N test images: correct, and robust to the attacks; "
          "torchattacks' with one row per seed",
          "settings": {k: getattr(given, k) for k in ("examples", "seeds", "steps", "queries")},
          "networks": EXPERIMENTS,
          "environment": machine.environment("jax", "torch", "torchattacks"),
          "seconds": seconds,
        }
        keep(given.out, arrays, about, "AutoAttack beside torchattacks", table(arrays, seconds))
        print(table(arrays, {case: seconds[case]}).splitlines()[-1], flush=True)


if __name__ == "__main__":
  main()
