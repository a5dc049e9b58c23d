"""The config of one phase of a paper's order: a part of the experiment's own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gpu.orders import Order, Phase
from robust_saliency import command_line, configs
from robust_saliency.core import checks
from robust_saliency.pipeline.settings import plain_config
from robust_saliency.results.claims import read_table
from robust_saliency.results.trends import TRENDS
from robust_saliency.studies.training import TRAINING
from robust_saliency.training.step import STEPS_PER_CALL

ROOT = Path(__file__).resolve().parents[1]
# What a rehearsal's studies look at.
REHEARSED = {"examples": 20, "per_class": 1}
# Of a kind of study, whether its config gives the fields or not.
REHEARSED_OF_KIND = {"roar": {"train_examples": 500, "scored_examples": 100}}
# To save a state takes an accelerator as long as hundreds of steps. A rehearsal takes several per
# call, too.
OF_EACH = {"checkpoint_every": 5000, "steps_per_call": STEPS_PER_CALL}


def config_of(order: Order, phase: Phase, *, steps: int | None = None) -> dict[str, Any]:
  """The config of one phase.

  Args:
    order: the paper's.
    phase: one of its phases.
    steps: for a rehearsal those of each network, in the place of the paper's; there are then two
      seeds at most, and each study looks at 20 images, or at one of each class.

  Raises:
    ValueError: for a network, study or place that the config has not.
  """
  path, words = order.config.split(":")
  words = words if steps is None else f"{words},{steps}"
  config = plain_config(command_line.load_config(f"{ROOT / path}:{words}"))
  changes = order.changes if steps is None else {**order.changes, **order.rehearsed}
  for place, value in changes.items():
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
  if steps is not None:
    for study in studies.values():
      study |= {field: few for field, few in REHEARSED.items() if field in study}
      study |= REHEARSED_OF_KIND.get(study["kind"], {})
  left = {"models": parts["models"], "studies": studies}
  own = {"name": "npz", "path": str(Path(".gpu") / f"{order.dataset}.npz")}
  return {
    **config,
    "dataset": {**config["dataset"], **own},
    "seeds": list(phase.seeds if steps is None else phase.seeds[:2]),
    "models": {name: {**one, **OF_EACH} for name, one in left["models"].items()},
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
    if (claim.of is None or claim.needs is not None or claim.of.split(".")[0] in studies)
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
