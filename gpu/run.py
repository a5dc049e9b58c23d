"""Runs a paper's experiment in some minutes of an accelerator, phase by phase (`gpu/orders.py`).

  make gpu-package                   # before, where there is a network: fills .gpu/
  make gpu-ross OUT=results          # there, with the tree and .gpu/ alone
  make gpu-ross STEPS=5              # a rehearsal, on any machine: five steps, 20 images

A phase is finished when its report is in OUT, as a compressed tar; the first also leaves networks,
float32 in `.npz`. What is cut off goes on where it was when it is started again on the same
machine. A report that came back is drawn anew by `python -m robust_saliency.redraw`. Networks are
trained in TF32 where the accelerator's default is that, attacked and evaluated in float32; the
report says so.

Read a network that came back with `flax.traverse_util.unflatten_dict(dict(np.load(file)), sep="/")`
and give it to `models.logits_fn(models.build("ross"), variables)`.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import flax.traverse_util
import jax
import numpy as np
from orders import ORDERS, Order, Phase
from outbox import Outbox, packed

from robust_saliency import command_line, configs
from robust_saliency.core import checks, files
from robust_saliency.pipeline import Experiment, read_networks
from robust_saliency.pipeline.settings import plain_config
from robust_saliency.results.claims import read_table
from robust_saliency.results.trends import TRENDS
from robust_saliency.studies.training import TRAINING
from robust_saliency.training import interruption

ROOT = Path(__file__).resolve().parents[1]
# To save a state takes an accelerator as long as hundreds of steps.
CHECKPOINT_EVERY = 5000


def config_of(
  order: Order, phase: Phase, *, steps: int | None = None, examples: int | None = None
) -> dict[str, Any]:
  """The config of one phase.

  Args:
    order: the paper's.
    phase: one of its phases.
    steps: of each network, in the place of the paper's.
    examples: how many images each study looks at, in the place of the config's, and one of each
      class where it counts them so.

  Raises:
    ValueError: for a network, study or place that the config has not.
  """
  path, words = order.config.split(":")
  words = words if steps is None else f"{words},{steps}"
  config = plain_config(command_line.load_config(f"{ROOT / path}:{words}"))
  for place, value in order.changes.items():
    *parents, field = place.split(".")
    entry = config
    for name in parents:
      checks.one_of(name, entry, argument=f"changes {place!r}")
      entry = entry[name]
    entry[field] = value
  full = {name: config[name] for name in ("models", "studies")}
  families = [one for study in full["studies"].values() for one in study.get("families", {})]
  for name in phase.networks or ():
    checks.one_of(name, [*full["models"], *families], argument="networks of a phase")
  for name in phase.studies or ():
    checks.one_of(name, full["studies"], argument="studies of a phase")
  parts = full if phase.networks is None else configs.only(full, phase.networks)
  studies = {
    name: study
    for name, study in parts["studies"].items()
    if phase.studies is None or name in phase.studies
  }
  for study in studies.values() if examples is not None else ():
    study |= {"examples": examples} if "examples" in study else {}
    study |= {"per_class": 1} if "per_class" in study else {}
  left = {"models": parts["models"], "studies": studies}
  own = {"name": "npz", "path": str(Path(".gpu") / f"{order.dataset}.npz")}
  return {
    **config,
    "dataset": {**config["dataset"], **own},
    "seeds": list(phase.seeds),
    "models": {
      name: {**model, "checkpoint_every": CHECKPOINT_EVERY}
      for name, model in left["models"].items()
    },
    "studies": studies,
    "claims": claims_about(config, left, dataset=order.dataset, folder=(ROOT / path).parent),
  }


def claims_about(
  config: Mapping[str, Any], left: Mapping[str, Any], *, dataset: str, folder: Path
) -> Any:
  """The claims about the networks and studies that are left: the table, or those of its rows.

  Args:
    config: the whole experiment's.
    left: {"models": ..., "studies": ...} of the part of it.
    dataset: whose claims.
    folder: of the table.
  """
  if not isinstance(config["claims"], str):
    return config["claims"]
  names = _names(config) - _names(left)
  studies = {*left["studies"], TRAINING, TRENDS}
  claims = read_table(
    (folder / config["claims"]).read_text(encoding="utf-8"),
    dataset=dataset,
    scale=config["scale"].split(",")[0],
    networks=_names(config),
  )
  kept = [
    claim
    for claim in claims
    if (claim.of is None or claim.is_of_benchmark or claim.of.split(".")[0] in studies)
    and names.isdisjoint(
      name
      for place in (claim.at, claim.minus or {}, claim.over or {})
      for name in place.values()
      if isinstance(name, str)
    )
  ]
  if len(kept) == len(claims):
    return config["claims"]
  empty = type(claims[0])(id="", says="")
  return [
    {name: value for name, value in vars(one).items() if value != getattr(empty, name)}
    for one in kept
  ]


def _names(parts: Mapping[str, Any]) -> set[str]:
  """The networks of a config, and the families of which its studies choose one."""
  families = [one for study in parts["studies"].values() for one in study.get("families", {})]
  return {*parts["models"], *families}


def run(
  order: Order,
  workdir: Path,
  out: Path,
  *,
  steps: int | None = None,
  examples: int | None = None,
  command: str = "",
) -> None:
  """Runs the phases that are not finished yet.

  Args:
    order: the paper's.
    workdir: where it computes; it is resumed there.
    out: where what comes back goes.
    steps: see `config_of`.
    examples: see `config_of`.
    command: what the reports say they were made by.
  """
  outbox, began = Outbox(out), time.monotonic()
  for phase in order.phases:
    config = config_of(order, phase, steps=steps, examples=examples)
    folder = (ROOT / order.config.split(":")[0]).parent
    Experiment(config, workdir, folder=folder, rerun_changed=True).run(command=command)
    outbox.put(f"{phase.name}.tar.gz", packed(workdir))
    if phase is order.phases[0]:
      _, networks = read_networks(workdir)
      for name in order.kept:
        flat = flax.traverse_util.flatten_dict(networks[name][0].variables, sep="/")
        content = files.npz({path: np.asarray(array) for path, array in flat.items()})
        outbox.put(f"{phase.name}_{files.slug(name)}.npz", content)
    print(f"{phase.name} is finished after {time.monotonic() - began:.0f} s", file=sys.stderr)


def main(arguments: Sequence[str]) -> None:
  """The command."""
  parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
  parser.add_argument("paper", choices=ORDERS)
  parser.add_argument("--workdir", type=Path, required=True, help="where it computes")
  parser.add_argument("--out", type=Path, required=True, help="where what comes back goes")
  parser.add_argument("--steps", type=int, help="of each network; default: the paper's")
  parser.add_argument("--examples", type=int, help="images of each study; default: the paper's")
  given = parser.parse_args(arguments)
  command_line.use_all_cores()
  order = ORDERS[given.paper]
  command = " ".join(["python gpu/run.py", *arguments])
  print(json.dumps({"jax": jax.__version__, "devices": [str(d) for d in jax.devices()]}))
  try:
    with interruption.stopping_on_signals():
      run(
        order, given.workdir, given.out, steps=given.steps, examples=given.examples, command=command
      )  # fmt: skip
  except interruption.StoppedError as stopped:
    print(f"{stopped}. Start the same command again to resume.", file=sys.stderr)
    sys.exit(interruption.EXIT_CODE)
  except (ValueError, TypeError, FloatingPointError, OSError, RuntimeError) as error:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
  main(sys.argv[1:])
