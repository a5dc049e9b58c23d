"""Ross & Doshi-Velez 2018: what becomes of the adversarially trained network's robustness?

The paper's network keeps 0.98 of its accuracy under the FGSM that it was trained on, one of ours
0.57, although it withstands the attack while it is trained. Here the network is trained in several
ways and read in several: by its last step, by averages of its parameters, and by other batch
statistics (see `robust_saliency/studies/batch_statistics`).

  python -m robust_saliency.main --config=ross2018_adversarial --workdir=runs/adv

Words after the colon, in any order:

  mnist      the default; needs `python -m robust_saliency.data prepare mnist`.
  notmnist   needs an archive of notMNIST (see `python -m robust_saliency.data`).
  small      the default: 800 steps of 128 images, as in the small run of ross2018.py, one seed;
             25 minutes on two idle CPU cores. `--config.seeds="(0, 1, 2)"` takes more.
  smoke      20 steps on scikit-learn's digits: a minute, for tests.
  3000       or another number: that many steps a network.

Networks: trained as in the paper; for three times as many steps; against FGSM with the true labels
instead of the predicted ones; attacked in training as in evaluation, through the running averages
instead of the batch's own statistics; and without batch norm. Statistics that are kept apart for
clean and attacked images need no network of their own: running averages play no part in training.
"""

from typing import Any

from ml_collections import ConfigDict

from robust_saliency import configs

EPSILON = 0.3

SUMMARY = (
  "Adversarial training shows a network clean images and FGSM’s, each normalised by statistics of "
  "their own batch, and evaluates it by running averages over both kinds. How much of the accuracy "
  "under the same attack that leaves, and what else could explain a loss, is measured by training "
  "the network in other ways and by reading it in other ways."
)


def get_config(variant: str = "mnist,small") -> ConfigDict:
  """The experiment; `variant` holds words between commas, see above."""
  words = configs.variant(
    variant, dataset=("mnist", "notmnist"), scale=("small", "smoke"), steps=int
  )
  smoke, steps = words["scale"] == "smoke", words["steps"]
  total = steps or (20 if smoke else 800)
  often = max(total // 20, 1)
  architecture = {"name": "digits" if smoke else "ross", "batch_norm": True}
  recipe: dict[str, Any] = {
    "architecture": architecture,
    "optimizer": {"name": "adam", "learning_rate": 1e-3, "eps": 1e-4, "epsilon_hat": True},
    "batch_size": 64 if smoke else 128,
    "steps": total,
    "averaging": 0.99,
    "log_every": 20,
    "checkpoint_every": often,
    "snapshots": 5,
    "probe": {
      "every": often,
      "examples": 100 if smoke else 512,
      "white_box": EPSILON,
    },
  }

  def trained(attack_mode: str = "training", labels: str = "predicted", **own: Any) -> dict:
    attack = {"name": "fgsm", "epsilon": EPSILON}
    adversarial = {"attack": attack, "attack_labels": labels, "attack_mode": attack_mode}
    halves = {"cross_entropy": {"weight": 0.5}, "adversarial": {"weight": 0.5, **adversarial}}
    return configs.model(halves, {**recipe, **own})

  examples = 20 if smoke else 2000
  fgsm = {"name": "fgsm", "label": "FGSM"}
  return configs.ordered(
    {
      "title": "Where an adversarially trained network loses its robustness",
      "summary": SUMMARY,
      "scale": words["scale"] if steps is None else f"{words['scale']}, {steps:,} steps",
      "dataset": {
        "name": "digits" if smoke else words["dataset"],
        "validation": 100 if smoke else 1000,
      },
      "seeds": (0,),
      "models": {
        "adversarial": trained(),
        "three times as long": trained(steps=3 * total),
        "true labels": trained(labels="true"),
        "attacked as evaluated": trained(attack_mode="evaluation"),
        "no batch norm": trained(architecture={**architecture, "batch_norm": False}),
      },
      "studies": {
        "accuracy": {"kind": "accuracy"},
        "FGSM": {
          "kind": "robustness",
          "attacks": {"fgsm": fgsm},
          "epsilons": (0.0, 0.1, 0.2, 0.3),
          "examples": examples,
        },
        "batch statistics": {
          "kind": "batch_statistics",
          "epsilon": EPSILON,
          "examples": examples,
          "batch_size": recipe["batch_size"],
        },
      },
    }
  )
