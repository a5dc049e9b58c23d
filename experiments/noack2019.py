"""Noack, Ahern, Dou & Li 2019: does training for interpretable gradients make networks robust?

Interpretation Regularization teaches a network that its input gradients should point where another
network's maps do, and be short. Settings are the authors' public code's, but for what a scale
shortens; the paper's tables were not to be had. What is claimed, and by which test it is decided,
is in noack2019_claims.toml.

  python -m robust_saliency.main --config=noack2019:mnist,small --workdir=runs/noack

Words after the colon, in any order:

  mnist    SimpleCNN; needs `python -m robust_saliency.data prepare mnist`.
  cifar10  WRN-28-10 and the code's two radii; `full` is for accelerators, days of them.
  small    the default: 10,000 training images, 3 epochs (2 of the teacher, by PGD-10) at a learning
           rate of 0.02, SmoothGrad of 8 copies, five seeds that share initialisation and order;
           400 images attacked, 20 under the grid, 200 of seed 0 by AutoAttack. Six to 8 core hours.
  full     the code's own: all images but 5,000, 100 epochs (200 of cifar10), five seeds, all test
           images, 1,000 under the grid, and the networks that `small` leaves out.
  gpu      the networks of `small` with 20 epochs of all images but 5,000: `make gpu-noack`.
  smoke    a few steps of everything on scikit-learn's digits: a minute, for tests.
  main     without the networks of other penalties. 200, or another number: steps a network.
  head     as in the code today: cifar10's network gives probabilities, which loss and attacks take
           for logits, and `full` keeps the epoch that is best on the test set, not on validation.
           Other oddities: `output` of the terms, and the threshold before augmentation (`maps`) or
           after it (`threshold` of the terms, the code's).
"""

from typing import Any

from ml_collections import ConfigDict

from robust_saliency import configs

# The code's. The magnitude term is a norm over the batch: another size would need another weight.
WEIGHTS = {"mnist": (3.0, 0.15), "cifar10": (0.75, 0.005)}
RADII = {"mnist": {"l2": 2.5, "linf": 0.2}, "cifar10": {"l2": 320 / 255, "linf": 8 / 255}}
GRID: dict[str, dict[str, tuple[float, ...]]] = {
  "mnist": {"l2": (1.5, 2.5, 3.5), "linf": (0.1, 0.2, 0.25, 0.3)},
  "cifar10": {"l2": (80 / 255, 320 / 255), "linf": (4 / 255, 8 / 255)},
}
TEACHERS_PGD = {
  "mnist": {"epsilon": 1.5, "steps": 40, "step_size": 0.5},
  "cifar10": {"epsilon": 80 / 255, "steps": 7, "step_size": 0.1},
}
HELD_OUT = {"mnist": 50_000, "cifar10": 40_000}  # `small`
CODES_STEP = {"mnist": 1.2, "cifar10": 0.16}  # at its larger l2 radius
EPOCHS = {"small": 3, "gpu": 20, "full": 100, "smoke": 1}  # of MNIST

IR, PLAIN_TEACHER = "IR", "standard teacher"
SIMPLE, HALF, PERMUTED = "IR, simple gradient", "IR, half permuted", "IR, permuted"
STANDARD, MEANS = "IR, standard teacher", "IR, class means"
# The magnitude penalty alone, in IR's own weight.
MAGNITUDES = {"magnitude, weak": 1 / 3, "magnitude": 1.0, "magnitude, strong": 8 / 3}
ONE_THING_APART = (SIMPLE, HALF, PERMUTED, STANDARD, MEANS, "direction")
MAIN = ("standard", "teacher", PLAIN_TEACHER, IR, *ONE_THING_APART, *MAGNITUDES)
ATTACKED = ("standard", IR, STANDARD, "magnitude")
SHOWN = ("standard", "teacher", IR, PERMUTED, MEANS, "direction", "magnitude")
TEACHERS_SEEDS = 1000  # as in the code, teachers start from other parameters than their students

SUMMARY = (
  "Robust networks have input gradients that people can read. Does a network become robust that is "
  "taught to have such gradients? Each network here is trained on clean images, with a term that "
  "turns its gradient of the true class’s logit towards a map, and one that shortens it. The maps "
  "are a robust teacher’s, a standard teacher’s, permuted ones, or made without any network. Short "
  "gradients alone make networks harder to fool, so each is compared with networks penalised for "
  "nothing else, at its own gradient norm and clean accuracy. The radii are ℓ₂ {l2:.3g} and ℓ∞ "
  "{linf:.3g} where no others are named."
)


def get_config(variant: str = "mnist,small") -> ConfigDict:
  """The experiment; `variant` holds words between commas, see above."""
  words = configs.variant(
    variant,
    dataset=("mnist", "cifar10"),
    scale=("small", "gpu", "full", "smoke"),
    part=(None, "main"),
    head=bool,
    steps=int,
  )
  dataset, scale, steps = words["dataset"], words["scale"], words["steps"]
  smoke, networks = scale == "smoke", models(dataset, scale, steps, head=words["head"])
  parts = {"models": networks, "studies": studies(dataset, scale)}
  if words["part"] is not None:
    parts = configs.only(parts, MAIN)
  held_out = {"small": HELD_OUT[dataset], "smoke": 100}.get(scale, 5000)
  return configs.ordered(
    {
      "title": f"Noack et al. 2019 on {'digits' if smoke else dataset}",
      "summary": SUMMARY.format(**RADII[dataset]),
      "scale": scale if steps is None else f"{scale}, {steps:,} steps",
      "dataset": {"name": "digits" if smoke else dataset, "validation": held_out},
      "seeds": tuple(range(2 if smoke else 5)),
      **parts,
      "claims": "noack2019_claims.toml",
    }
  )


def models(dataset: str, scale: str, steps: int | None, *, head: bool) -> dict:
  """Every network by name; `steps` are those of each, None for the scale's."""
  full, smoke, cifar = scale == "full", scale == "smoke", dataset == "cifar10"
  wide = {"name": "wide_resnet", "form": "noack", **({"output": "probabilities"} if head else {})}
  epochs = 200 if cifar and full else EPOCHS[scale]
  kept = {"first": epochs // 2, **({"split": "test"} if head else {})}
  recipe: dict[str, Any] = {
    "architecture": {"name": "digits"} if smoke else wide if cifar else {"name": "noack"},
    "optimizer": {
      "name": "sgd",
      "learning_rate": 0.1 if cifar else 0.02 if scale == "small" else 0.01,
      "momentum": 0.9,
      "nesterov": True,
      "weight_decay": 5e-4 if cifar else 1e-5,
      "schedule": {"name": "cosine_per_epoch"},
    },
    "batch_size": 128 if cifar else 50,
    **({"augmentation": {"padding": 4, "flip_probability": 0.5}} if cifar and not smoke else {}),
    **({"steps": steps or 10} if smoke or steps else {"epochs": epochs}),
    **({"early_stopping": kept} if full and not steps else {}),
  }
  cosine, size = WEIGHTS[dataset]
  plain: dict[str, Any] = {"cross_entropy": {}}
  attack = {"name": "pgd", "norm": "l2", **TEACHERS_PGD[dataset]}
  if not (full or cifar):
    attack |= {"steps": 10, "step_size": None}  # 2.5 times the radius in all
  adversarial = {"adversarial": {"attack": attack, "attack_mode": "training"}}
  short = {"interpretation_magnitude": {"weight": size}}
  towards = {"interpretation_direction": {"weight": cosine, "threshold": 1.0}}  # augmented first

  def taught(maps: str, *, permuted: float = 0.0, magnitude: bool = True) -> dict:
    objective = {**plain, **towards, **(short if magnitude else {})}
    where = {"study": maps, **({"permuted": permuted} if permuted else {})}
    return configs.model(objective, recipe, maps={"maps": where})

  shorter = {"epochs": 2} if scale == "small" and not steps else {}
  networks = {
    "standard": configs.model(plain, recipe),
    "teacher": configs.model(adversarial, recipe, seed_offset=TEACHERS_SEEDS, **shorter),
    PLAIN_TEACHER: configs.model(plain, recipe, seed_offset=TEACHERS_SEEDS),
    IR: taught("teacher’s SmoothGrad"),
    SIMPLE: taught("teacher’s gradients"),
    HALF: taught("teacher’s SmoothGrad", permuted=0.5),
    PERMUTED: taught("teacher’s SmoothGrad", permuted=1.0),
    STANDARD: taught("standard SmoothGrad"),
    MEANS: taught("class means"),
    "direction": taught("teacher’s SmoothGrad", magnitude=False),
    **{
      name: configs.model({**plain, "interpretation_magnitude": {"weight": size * times}}, recipe)
      for name, times in MAGNITUDES.items()
    },
    # Hoffman et al.'s own weight on MNIST; the code's is a command-line argument.
    "Jacobian": configs.model({**plain, "projected_jacobian_penalty": {"weight": 0.01}}, recipe),
  }
  if scale in ("small", "gpu"):
    return networks
  # The code's form; its scripts have weights of 0.015 to 0.025.
  exact, lipschitz = {"weight": 0.02, "scaling": "batch_root"}, {"weight": 0.01}
  return {
    **networks,
    "IR, random network": taught("untrained SmoothGrad"),
    "IR, nearest neighbours": taught("nearest neighbours"),
    "IR, edges": taught("edges"),
    "all classes’ means": configs.model({**plain, "class_mean_alignment": {}}, recipe),
    "Jacobian, exact": configs.model({**plain, "jacobian_penalty": exact}, recipe),
    "Cross-Lipschitz": configs.model({**plain, "cross_lipschitz_penalty": lipschitz}, recipe),
    "TRADES": configs.model({**plain, "trades": {"weight": 6.0, "attack": attack}}, recipe),
  }


def studies(dataset: str, scale: str) -> dict[str, Any]:
  """Every measurement by name; the maps come before the networks that are taught by them."""
  small, smoke = scale in ("small", "gpu"), scale == "smoke"
  radii, grid = RADII[dataset], GRID[dataset]
  copies = {"small": 8, "smoke": 2}.get(scale, 50)
  few, some, more = {
    "small": (20, 100, 400), "gpu": (500, 1000, None), "smoke": (10, 20, 20),
  }.get(scale, (1000, 2000, None))  # fmt: skip
  smooth = {"name": "smoothgrad", "samples": copies, "include_clean": True, "clip": True}
  first: dict[str, Any] = {} if scale == "full" else {"seeds": (0,)}
  quick = {"steps": 2} if smoke else {}

  def pgd(norm: str, steps: int, label: str = "", **own: Any) -> dict[str, Any]:
    label = label or f"PGD-{steps}"
    return {"name": "pgd", "label": label, "norm": norm, "steps": steps, **own, **quick}

  def curve(attack: dict[str, Any], radii: tuple, **settings: Any) -> dict[str, Any]:
    return {"kind": "robustness", "attacks": {"pgd": attack}, "epsilons": (0.0, *radii), **settings}

  by_code = pgd("l2", 40, "PGD-40, the code’s step", step_size=CODES_STEP[dataset], keep="last")
  autoattack = {"name": "autoattack", **({"steps": 2, "queries": 10} if smoke else {})}
  attacked = {"models": ATTACKED, "examples": few, "batch_size": min(few, 250)}
  teachers: dict[str, Any] = {"teacher": "teacher", "attribution": smooth}
  shown = {"name": "gradient", "label": "Gradient of the true class’s logit"}
  maps: dict[str, dict[str, Any]] = {
    "teacher’s SmoothGrad": teachers,
    "teacher’s gradients": {**teachers, "attribution": shown},
    "standard SmoothGrad": {**teachers, "teacher": PLAIN_TEACHER},
    "class means": {"source": "class_mean"},
  }
  if not small:
    maps["untrained SmoothGrad"] = {**teachers, "teacher": PLAIN_TEACHER, "source": "untrained"}
    maps |= {"nearest neighbours": {"source": "nearest_neighbour"}, "edges": {"source": "edges"}}
  return {
    **{name: {"kind": "target_maps", **settings} for name, settings in maps.items()},
    "accuracy": {"kind": "accuracy"},
    "matched": {
      "kind": "matched",
      "along": ("standard", *MAGNITUDES),
      "attacks": {norm: pgd(norm, 20, epsilon=radius) for norm, radius in radii.items()},
      "examples": more,
    },
    **{
      f"grid {norm}": curve(pgd(norm, 40, "PGD-40, 5 restarts", restarts=5), of_norm, **attacked)
      for norm, of_norm in grid.items()
    },
    "code’s step size": curve(by_code, (radii["l2"],), models=MAIN, examples=some, **first),
    **{
      f"AutoAttack {norm}": {
        "kind": "evaluation",
        "attacks": {"pgd": pgd(norm, 20), "autoattack": autoattack},
        "norm": norm,
        "epsilon": radius,
        **(attacked if scale != "small" else {"models": ATTACKED, "examples": 200, **first}),
      }
      for norm, radius in radii.items()
    },
    "transfer": {
      "kind": "transfer",
      "models": ("standard", "teacher", IR, "magnitude"),
      "attack": pgd("l2", 20),
      "epsilons": (0.0, *grid["l2"]),
      "examples": some,
      **first,
    },
    "agreement": {
      "kind": "map_agreement",
      "references": ("teacher", PLAIN_TEACHER),
      "attribution": {**smooth, "label": "SmoothGrad"},
      "examples": some,
    },
    "linear robustness": {
      "kind": "linear_robustness",
      "models": MAIN,
      "attack": {"name": "fmn", "label": "FMN", **quick},
      "examples": some,
      **first,
    },
    "gradients": {"kind": "saliency", "models": SHOWN, "attribution": shown},
    "map quality": {"kind": "map_quality", "attribution": shown, "examples": some},
  }
