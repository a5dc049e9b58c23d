"""Runs a paper's experiment in some minutes of an accelerator, phase by phase (`gpu/orders.py`).

  make gpu-package                   # before, where there is a network: fills .gpu/
  make gpu-ross OUT=results          # there, with the tree and .gpu/ alone
  make gpu-ross STEPS=5              # a rehearsal, on any machine: few steps, images and queries

A phase is finished when its report is in OUT, as a compressed tar; the first also leaves networks,
float32 in `.npz`. What is cut off goes on where it was, if it is started again on that machine. A
report that came back is drawn anew by `python -m robust_saliency.redraw`. Networks are trained in
TF32 where that is the accelerator's default, attacked and evaluated in float32; reports say so.

Read a network that came back with `flax.traverse_util.unflatten_dict(dict(np.load(file)), sep="/")`
and give it to `models.logits_fn(models.build("ross"), variables)`.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import flax.traverse_util
import jax
import numpy as np

from gpu.orders import ORDERS, Order
from gpu.outbox import FINISHED, Outbox, packed
from gpu.phase_config import ROOT, config_of
from robust_saliency import command_line
from robust_saliency.core import files
from robust_saliency.pipeline import Experiment, read_networks
from robust_saliency.training import interruption

REPORT = "report.tar.gz"


def run(
  order: Order, workdir: Path, out: Path, *, steps: int | None = None, command: str = ""
) -> None:
  """Runs the phases that are not finished yet, and hands out what all have left.

  Args:
    order: the paper's.
    workdir: where it computes; it is resumed there.
    out: where what comes back goes.
    steps: see `config_of`.
    command: what the reports say they were made by.
  """
  outbox, began = Outbox(out), time.monotonic()
  for phase in order.phases:
    # Of its own: the next phase computes some of its studies anew.
    left = workdir / FINISHED / phase.name
    if not (left / REPORT).exists():
      config = config_of(order, phase, steps=steps)
      folder = (ROOT / order.config.split(":")[0]).parent
      Experiment(config, workdir, folder=folder, rerun_changed=True).run(command=command)
      if phase is order.phases[0]:
        _, networks = read_networks(workdir)
        for name in order.kept:
          flat = flax.traverse_util.flatten_dict(networks[name][0].variables, sep="/")
          content = files.npz({path: np.asarray(array) for path, array in flat.items()})
          files.write_bytes(left / f"{files.slug(name)}.npz", content)
      files.write_bytes(left / REPORT, packed(workdir))
      print(f"{phase.name} is finished after {time.monotonic() - began:.0f} s", file=sys.stderr)
    # The report first, should the time be short.
    for file in sorted(left.iterdir(), key=lambda one: one.name != REPORT):
      outbox.put(f"{phase.name}_{file.name}", file.read_bytes())


def main(arguments: Sequence[str]) -> None:
  """The command."""
  parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
  parser.add_argument("paper", choices=ORDERS)
  parser.add_argument("--workdir", type=Path, required=True, help="where it computes")
  parser.add_argument("--out", type=Path, required=True, help="where what comes back goes")
  parser.add_argument("--steps", type=int, help="rehearses it with so many steps a network")
  given = parser.parse_args(arguments)
  command_line.use_all_cores()
  order = ORDERS[given.paper]
  # Not where: what comes back may be kept, and a machine's folders are nobody's business.
  rehearsal = [] if given.steps is None else [f"--steps={given.steps}"]
  command = " ".join(["python -m gpu.run", given.paper, *rehearsal])
  print(json.dumps({"jax": jax.__version__, "devices": [str(d) for d in jax.devices()]}))
  try:
    with interruption.stopping_on_signals():
      run(order, given.workdir, given.out, steps=given.steps, command=command)
  except interruption.StoppedError as stopped:
    print(f"{stopped}. Start the same command again to resume.", file=sys.stderr)
    sys.exit(interruption.EXIT_CODE)
  except (ValueError, TypeError, FloatingPointError, OSError, RuntimeError) as error:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
  main(sys.argv[1:])
