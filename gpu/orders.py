"""What each paper runs on an accelerator that may be taken away at any time, and in which order.

A phase is the paper's experiment with some of its networks, studies and seeds, and leaves a whole
report. What a phase before has computed it reads. So whatever the time is enough for is whole, and
most of what counts comes first.

`ross2018` on one H200 with 16 CPU cores, measured in November 2026 with jax 0.11.2: the first
phase after 309 s, of which 149 were training (source, undefended, adversarially trained, GR(y):
19, 50, 47 and 33 s, some 55 of them compilation) and 92 AutoAttack on 1,000 images of three
networks, half of that compilation, too. The same networks of a second seed took 95 s: 0.8, 1.3,
2.3 and 2.0 ms a step. For an H100 0.8, 1.7 and 1.5 ms had been reckoned of the last three (18.8,
44.1 and 38.0 GFLOP a step at 15 % of dense TF32, 0.4 to 1 ms of memory traffic, a launch 3 us
where nothing hides it). AutoAttack on six networks took another 104 s, so that ten minutes were
over just before the second seed's page. The second phase now leaves it out, and should be there
250 s after the first; the third has it again. `gpu/measure.py` says beforehand what a machine's
steps cost.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Phase:
  """A part of an experiment.

  Attributes:
    name: of what it leaves.
    seeds: of its networks.
    networks: what it trains, and families of which a study chooses one; None for all of them.
    studies: what it measures; None for all of them.
  """

  name: str
  seeds: tuple[int, ...]
  networks: tuple[str, ...] | None = None
  studies: tuple[str, ...] | None = None


@dataclasses.dataclass(frozen=True)
class Order:
  """The phases of a paper.

  Attributes:
    config: its experiment, a file and words, at the paper's own scale.
    dataset: the set of `.gpu/` that takes the place of the config's.
    phases: one after the other.
    changes: place in the config, "studies.AutoAttack.examples" -> what stands there instead.
    rehearsed: likewise, where the order is only rehearsed: whatever takes long.
    kept: networks that leave their parameters, too, of the first phase's first seed.
  """

  config: str
  dataset: str
  phases: tuple[Phase, ...]
  changes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  rehearsed: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  kept: tuple[str, ...] = ()


_ROSS = ("source", "undefended", "adversarial", "GR(y)")
# The choice of lambda has one candidate each, and says which network is GR(y).
_ROSS_STUDIES = ("lambda", "accuracy", "FGSM", "TGSM", "gradients", "readability")

# The kinds of features of NormLIME's maps.
_FEATURES = ("2x2 blocks", "4x4 blocks", "pixels")

ORDERS: dict[str, Order] = {
  "ross2018": Order(
    config="experiments/ross2018.py:mnist,paper",
    dataset="mnist",
    phases=(
      Phase("seed_0", (0,), _ROSS, (*_ROSS_STUDIES, "AutoAttack")),
      # Three networks a defence decide; AutoAttack takes as long as to train one more of each.
      Phase("seeds_0_to_2", (0, 1, 2), _ROSS, _ROSS_STUDIES),
      # With the distilled network and the other studies.
      Phase("main", (0, 1, 2), (*_ROSS, "teacher", "distilled")),
    ),
    changes={"studies.AutoAttack.examples": 1000},
    rehearsed={
      "studies.AutoAttack.attacks.autoattack.steps": 2,
      "studies.AutoAttack.attacks.autoattack.queries": 10,
      "studies.JSMA.attack.gamma": 0.01,
    },
    kept=("undefended", "adversarial", "GR(y) 56234"),
  ),
  # No network is left: 13 of 13 MB each.
  "noack2019": Order(
    config="experiments/noack2019.py:mnist,gpu",
    dataset="mnist",
    phases=(
      Phase("seed_0", (0,)),
      Phase("seeds_0_to_2", (0, 1, 2)),
      Phase("all", (0, 1, 2, 3, 4)),
    ),
    rehearsed={
      # Maps are made of all training images.
      "dataset.validation": 59_500,
      **{
        f"studies.{study}.attacks.autoattack": {"name": "autoattack", "steps": 2, "queries": 10}
        for study in ("AutoAttack l2", "AutoAttack linf")
      },
    },
  ),
  "kim2019": Order(
    config="experiments/kim2019.py:roar,gpu",
    dataset="cifar10",
    phases=(Phase("seed_0", (0,)), Phase("all", (0, 1, 2))),
    # 10,000 are trained on, and 5,000 are scored: more do not travel.
    changes={"dataset.validation": 5000},
  ),
  "normlime2019": Order(
    config="experiments/normlime2019.py:mnist,gpu",
    dataset="mnist",
    phases=(
      # Networks differ most in the maps of all classes; those of each class come last.
      Phase("maps", (0, 1, 2), None, ("accuracy", *_FEATURES)),
      Phase("one_mask", (0, 1, 2), None, ("accuracy", *_FEATURES, "KAR", "ROAR")),
      Phase("all", (0, 1, 2)),
    ),
    rehearsed={
      f"studies.{study}.{field}": value
      for study in _FEATURES
      for field, value in (
        # A claim is of maps from 40 images of a class.
        ("of_each_class", 80),
        ("sizes", (1, 5, 10, 20, 40)),
        ("local.samples", 10),
        ("maps.NormLIME, fewer samples.local.samples", 5),
      )
    },
  ),
}
