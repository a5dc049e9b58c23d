"""Kim, Seo & Jeon 2019: why adversarially trained networks have gradients that people can read.

Two parts: where decision boundaries of points in the plane tilt, and how much of an image's class
lies in the pixels that gradients of more and less robust networks call important (ROAR and KAR),
against what robustness costs in accuracy. What is claimed stands in kim2019_*_claims.toml, what the
authors' figures show in kim2019_roar_published.csv; settings are those of the authors' code.

  python -m robust_saliency.main --config=experiments/kim2019.py:roar,small --workdir=runs/kim-roar

Words after the colon, in any order:

  roar      the default: CIFAR-10; needs `python -m robust_saliency.data prepare cifar10`.
  boundary  two Gaussians in the plane; a minute on two CPU cores at any scale.

  small     the default: networks of a quarter of the width, 10,000 training images, 3 epochs; five
            strengths of adversarial training, three networks each, retrained once for each of
            three fractions. An hour and a half on two idle CPU cores.
  full      the authors' own: 20 strengths of each norm and both losses, 20 epochs, five fractions,
            three retrainings, all images; for accelerators.
  smoke     a few steps of everything on scikit-learn's digits: a minute, for tests.

  40        or another number: that many steps a network.

Accuracies after retraining are of training images that were held out, since not all test images are
at hand in some places; epsilons and steps are those of pixels in [-1, 1]. PGD's steps add up to 2.5
times the radius; the authors' are longer than the radius, which the boundaries keep.
"""

from typing import Any

from ml_collections import ConfigDict

from robust_saliency import configs

STRONGEST = {"l2": 1.6, "linf": 0.04}
STRENGTHS = {"small": (10, 20), "full": tuple(range(1, 21)), "smoke": (20,)}  # in 20ths of these
FRACTIONS = {"small": (0.3, 0.5, 0.7), "full": (0.1, 0.3, 0.5, 0.7, 0.9), "smoke": (0.5,)}
# Adversarial training of the plane's networks, l2.
BOUNDARIES = {"weak": 0.25, "strong": 0.5}
# Longer than the radius, without a random start, and the last point counts: the authors' PGD.
AUTHORS_PGD = {
  "name": "pgd", "norm": "l2", "step_size": 2.0, "steps": 40, "random_start": False, "keep": "last",
}  # fmt: skip

SUMMARY = (
  "A map is good if what it calls important matters. Networks are trained against attacks of "
  "growing strength; pixels are removed by the gradient of each, G, and by gradient times input, "
  "GX, and networks are trained anew on what is left. If the gradients of robust networks are more "
  "informative, removing their pixels costs more. They are also smoother, which may be enough: so "
  "the standard network’s gradients, blurred, are judged beside them."
)
PLANE_SUMMARY = (
  "Two classes of points that differ along one axis and vary little along the other can be told "
  "apart by many boundaries. That of a network which is trained plainly tilts towards the axis "
  "along which nothing varies, so that it lies near the points, and attacks lead off the strips "
  "on which they lie; adversarial training sets it upright."
)


def get_config(variant: str = "roar,small") -> ConfigDict:
  """The experiment; `variant` holds words between commas, see above."""
  words = configs.variant(
    variant, part=("roar", "boundary"), scale=("small", "full", "smoke"), steps=int
  )
  scale, steps = words["scale"], words["steps"]
  part = words["part"]
  fields = boundary(steps) if part == "boundary" else roar(scale, steps)
  return configs.ordered(
    {
      **fields,
      "scale": scale if steps is None else f"{scale}, {steps:,} steps",
      "claims": f"kim2019_{part}_claims.toml",
      **({"published": "kim2019_roar_published.csv"} if part == "roar" else {}),
    }
  )


def boundary(steps: int | None) -> dict[str, Any]:
  """Networks of points in the plane."""
  recipe: dict[str, Any] = {
    "architecture": {"name": "mlp", "hidden": (128,), "kernel_init": "glorot_uniform"},
    "optimizer": {"name": "adam", "learning_rate": 1e-3},
    "batch_size": 100,
    **({"epochs": 10} if steps is None else {"steps": steps}),
    "shuffle": False,
    "log_every": 100,
  }

  def against(radius: float) -> dict:
    attack = {**AUTHORS_PGD, "epsilon": radius}
    return configs.model({"adversarial": {"attack": attack}}, recipe)

  return {
    "title": "Kim et al. 2019: boundaries in the plane",
    "summary": PLANE_SUMMARY,
    "dataset": {"name": "kim_toy"},
    "seeds": tuple(range(10)),
    "models": {
      "standard": configs.model({"cross_entropy": {}}, recipe),
      **{name: against(radius) for name, radius in BOUNDARIES.items()},
    },
    "studies": {
      "accuracy": {"kind": "accuracy"},
      "boundary": {"kind": "boundary", "attack": {**AUTHORS_PGD, "label": "PGD", "epsilon": 1.0}},
    },
  }


def roar(scale: str, steps: int | None) -> dict[str, Any]:
  """Networks of growing strength, and networks retrained without pixels."""
  small, smoke = scale == "small", scale == "smoke"
  width = {"width": 0.25} if small else {}
  recipe: dict[str, Any] = {
    "architecture": {"name": "digits"} if smoke else {"name": "kim_cifar", **width},
    "optimizer": {"name": "adam", "learning_rate": 1e-3},
    "batch_size": 100,
    **({"steps": steps or 10} if smoke or steps else {"epochs": 3 if small else 20}),
    "shuffle": False,
    "log_every": 100,
  }
  plain = {"cross_entropy": {"weight": 1.0}}
  families = {
    norm: {"standard": 0.0, **{_name(norm, i): i / 20 * most for i in STRENGTHS[scale]}}
    for norm, most in STRONGEST.items()
  }
  networks = {"standard": configs.model(plain, recipe)}
  for loss in ("cross_entropy",) if scale != "full" else ("cross_entropy", "cw_margin"):
    for norm, family in families.items():
      for name, radius in list(family.items())[1:]:
        attack = {"name": "pgd", "norm": norm, "epsilon": radius, "loss": loss}
        attack |= {"steps": 2 if smoke else 10 if small else 40}
        called = name if loss == "cross_entropy" else f"{name}, CW"
        networks[called] = configs.model({"adversarial": {"attack": attack}}, recipe)
  strongest = [_name(norm, 20) for norm in STRONGEST]
  of_standard = {"name": "gradient", "score": "cross_entropy", "models": ("standard",)}
  return {
    "title": f"Kim et al. 2019: ROAR and KAR on {'digits' if smoke else 'CIFAR-10'}",
    "summary": SUMMARY,
    "dataset": {
      "name": "digits" if smoke else "cifar10",
      "bounds": (-1.0, 1.0),
      # Of CIFAR-10's 50,000 images 10,000 are left for training in `small`.
      "validation": 100 if smoke else 40_000 if small else 10_000,
    },
    "seeds": (0, 1) if smoke else (0, 1, 2),
    "models": networks,
    "studies": {
      "accuracy": {"kind": "accuracy"},
      **{
        f"PGD {norm}": {
          "kind": "robustness",
          "attacks": {
            "pgd": {"name": "pgd", "label": "PGD", "norm": norm, "steps": 2 if smoke else 20}
          },
          "epsilons": (0.0, most / 4, most),
          "examples": 20 if smoke else 500,
        }
        for norm, most in STRONGEST.items()
      },
      "loss gradients": {
        "kind": "saliency",
        "models": ("standard", *strongest),
        "attribution": {"name": "gradient", "score": "cross_entropy", "label": "Loss gradient"},
      },
      "roar": {
        "kind": "roar",
        "maps": {
          "G": {"name": "gradient", "score": "cross_entropy", "label": "G"},
          "GX": {"name": "gradient_x_input", "score": "cross_entropy", "label": "GX"},
          "G, blurred by 1": {**of_standard, "smoothing": 1.0},
          "G, blurred by 2": {**of_standard, "smoothing": 2.0},
        },
        "retraining": {**networks["standard"], "log_every": 1000, "checkpoint_every": 1000},
        "fractions": FRACTIONS[scale],
        "controls": ("random", "edges"),
        "mask_only": {"G": ("standard", strongest[0])},
        "families": families,
        "scored": "validation",
        "scored_examples": 50 if smoke else 10_000,
        "retrainings": 3 if scale == "full" else 1,
      },
    },
  }


def _name(norm: str, twentieths: int) -> str:
  """A network by its strength, in twentieths of the strongest."""
  return f"{norm} {twentieths}/20"
