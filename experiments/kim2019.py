"""Kim, Seo & Jeon 2019: why adversarially trained networks have gradients that people can read.

Three parts: where decision boundaries of points in the plane tilt; how far adversarial images lie
from a manifold of natural ones, a VAE-GAN's; and how much of an image's class lies in the pixels
that gradients of more and less robust networks call important (ROAR and KAR), against what
robustness costs in accuracy. What is claimed stands in kim2019_*_claims.toml, what the
authors' figures show in kim2019_roar_published.csv; settings are those of the authors' code.

  python -m robust_saliency.main --config=kim2019:roar,small --workdir=runs/kim-roar

Words after the colon, in any order:

  roar      the default: CIFAR-10; needs `python -m robust_saliency.data prepare cifar10`.
  boundary  two Gaussians in the plane; a minute on two CPU cores at any scale.
  manifold  MNIST, or with the word `fashion_mnist` or `cifar10` that data set; needs
            `python -m robust_saliency.data prepare mnist`, or of that name.

  small     the default: networks of a quarter of the width, 10,000 training images, 3 epochs; two
            strengths of adversarial training in each norm, reached over 100 steps, and standard
            training, three networks each, retrained once for each of three fractions. An hour and a
            half on two idle CPU cores. For the manifold 10,000 images, once for a network and five
            times for the VAE-GAN: 40 minutes to two hours for MNIST's 15 networks, 25 to 70 minutes
            for Fashion-MNIST's 9, that are trained by one loss.
  full      the authors' sizes: 20 strengths of each norm and both losses, 20 epochs, five
            fractions, three retrainings, 40,000 training images; for accelerators.
  gpu       of `roar`: the networks of `small` at their full width, 10 epochs, for `make gpu-kim`.
  smoke     a few steps of everything on scikit-learn's digits: a minute, for tests.

  authors   of `roar`: networks are trained against the authors' own PGD.
  40        or another number: that many steps a network.

Accuracies after retraining are of training images that were held out, since not all test images are
at hand in some places; epsilons and steps are those of pixels in [-1, 1]. PGD starts within the
ball, its steps add up to 2.5 times the radius, and the point of the largest loss counts; the
authors' starts at the image, takes steps that are longer than most radii, and its last point
counts. The boundaries keep theirs, and with the word `authors` the networks of `roar`. Scores of
`small` are weighted over three fractions and not five, so that their levels are not the paper's.
"""

from typing import Any

from ml_collections import ConfigDict

from robust_saliency import configs

STRONGEST = {"l2": 1.6, "linf": 0.04}
# In 20ths of these.
STRENGTHS = {"small": (10, 20), "gpu": (10, 20), "full": tuple(range(1, 21)), "smoke": (20,)}
FRACTIONS = {
  "small": (0.3, 0.5, 0.7), "gpu": (0.3, 0.5, 0.7), "full": (0.1, 0.3, 0.5, 0.7, 0.9),
  "smoke": (0.5,),
}  # fmt: skip
EPOCHS = {"small": 3, "gpu": 10, "full": 20}
# Without it five of seven networks of a quarter's width stayed at chance.
RAMP_STEPS = 100
# Adversarial training of the plane's networks, l2.
BOUNDARIES = {"weak": 0.25, "strong": 0.5}
# It starts at the image, its steps are longer than most radii, and the last point counts.
AUTHORS_PGD = {
  "name": "pgd", "norm": "l2", "step_size": 2.0, "steps": 40, "random_start": False, "keep": "last",
}  # fmt: skip
AUTHORS_STEP = {"l2": 2.0, "linf": 0.02}

# Data set -> norm -> the radii of adversarial training, the weakest first.
MANIFOLD_RADII = {
  "mnist": {"l2": (1.0, 2.0, 4.0), "linf": (0.05, 0.1, 0.2)},
  "fashion_mnist": {"l2": (1.0, 2.0, 4.0), "linf": (0.05, 0.1, 0.2)},
  "cifar10": {"l2": (0.1, 0.4, 1.6), "linf": (0.005, 0.01, 0.02)},
}
# Data set -> lambda, numbers in a code, learning rate, Adam's b1, steps of D, epochs.
VAE_GANS = {
  "mnist": (5e-3, 10, 5e-4, 0.5, 1, 30),
  "fashion_mnist": (5e-4, 10, 5e-4, 0.5, 1, 60),
  "cifar10": (1e-2, 128, 2e-4, 0.0, 5, 150),
}
LOSSES = {"cross-entropy": "cross_entropy", "CW": "cw_margin"}
STRENGTHS_IN_WORDS = ("weak", "middle", "strong")
# The authors' large attack, which follows the loss gradient far from the image.
FAR = {**AUTHORS_PGD, "label": "PGD", "epsilon": 12.0}

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
MANIFOLD_SUMMARY = (
  "Gradients of robust networks look like the images’ own shapes. If that is because they lead "
  "along the manifold of natural images, then adversarial images that follow them far must lie "
  "nearer to it than those of standard networks. The manifold is what a VAE-GAN makes; the plane "
  "of a few principal components, which knows no shapes, stands beside it."
)


def get_config(variant: str = "roar,small") -> ConfigDict:
  """The experiment; `variant` holds words between commas, see above."""
  words = configs.variant(
    variant,
    part=("roar", "boundary", "manifold"),
    scale=("small", "gpu", "full", "smoke"),
    authors=bool,
    dataset=(None, "mnist", "fashion_mnist", "cifar10"),
    steps=int,
  )
  scale, steps = words["scale"], words["steps"]
  part, dataset = words["part"], words["dataset"]
  if dataset is not None and part != "manifold":
    raise ValueError(f"variant must name a data set for the part manifold alone, got {variant!r}")
  if part != "roar" and (scale == "gpu" or words["authors"]):
    raise ValueError(f"variant must have gpu and authors for the part roar alone, got {variant!r}")
  if part == "manifold":
    fields = manifold(dataset or "mnist", scale, steps)
  else:
    fields = boundary(steps) if part == "boundary" else roar(scale, steps, authors=words["authors"])
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


def roar(scale: str, steps: int | None, *, authors: bool) -> dict[str, Any]:
  """Networks of growing strength, and networks retrained without pixels."""
  small, smoke = scale in ("small", "gpu"), scale == "smoke"
  width = {"width": 0.25} if scale == "small" else {}
  recipe: dict[str, Any] = {
    "architecture": {"name": "digits"} if smoke else {"name": "kim_cifar", **width},
    "optimizer": {"name": "adam", "learning_rate": 1e-3},
    "batch_size": 100,
    **({"steps": steps or 10} if smoke or steps else {"epochs": EPOCHS[scale]}),
    "shuffle": False,
    "log_every": 100,
  }
  plain = {"cross_entropy": {"weight": 1.0}}
  networks = {"standard": configs.model(plain, recipe)}
  families: dict[str, dict[str, float]] = {}
  for loss in ("cross_entropy", "cw_margin") if scale == "full" else ("cross_entropy",):
    words = "" if loss == "cross_entropy" else ", CW"
    for norm, most in STRONGEST.items():
      family = families[f"{norm}{words}"] = {"standard": 0.0}
      for i in STRENGTHS[scale]:
        name, radius = f"{_name(norm, i)}{words}", i / 20 * most
        attack = {"name": "pgd", "norm": norm, "epsilon": radius, "loss": loss}
        attack |= {"steps": 2 if smoke else 10 if small else 40}
        if authors:
          attack = {**AUTHORS_PGD, **attack, "steps": 40, "step_size": AUTHORS_STEP[norm]}
        term = {"attack": attack, **({} if scale == "full" else {"ramp_steps": RAMP_STEPS})}
        networks[name] = configs.model({"adversarial": term}, recipe)
        family[name] = radius
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
          "epsilons": (0.0, most / 4, most / 2, most),
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
        "scored_examples": 50 if smoke else 5000 if scale == "gpu" else 10_000,
        "retrainings": 3 if scale == "full" else 1,
      },
    },
  }


def _name(norm: str, twentieths: int) -> str:
  """A network by its strength, in twentieths of the strongest."""
  return f"{norm} {twentieths}/20"


def manifold(dataset: str, scale: str, steps: int | None) -> dict[str, Any]:
  """Networks of growing strength, and a VAE-GAN of the images that they are attacked at."""
  small, smoke = scale == "small", scale == "smoke"
  network = "kim_cifar" if dataset == "cifar10" else "kim_mnist"
  weight, latent, rate, b1, discriminator_steps, epochs = VAE_GANS[dataset]
  optimizer = {"name": "adam", "learning_rate": 1e-3}
  recipe: dict[str, Any] = {
    "architecture": {"name": "digits" if smoke else network},
    "optimizer": optimizer,
    "batch_size": 100,
    **({"steps": steps or 10} if smoke or steps else {"epochs": 1 if small else 5}),
    "shuffle": False,
    "log_every": 100,
  }
  if dataset == "cifar10" and not (small or smoke or steps):
    recipe["epochs"] = 20
  # The standard networks that the others are compared with: as many as make their spread known.
  standards = {
    name: configs.model({"cross_entropy": {}}, recipe, seed_offset=offset)
    for offset, name in enumerate(("standard", "standard 2", "standard 3"))
  }
  both = scale == "full" or (small and dataset == "mnist")
  panels: dict[str, tuple[str, ...]] = {}
  trained: dict[str, Any] = {}
  for words, loss in LOSSES.items() if both else [("cross-entropy", "cross_entropy")]:
    for norm, radii in MANIFOLD_RADII[dataset].items():
      names = tuple(
        f"{norm} {word}{'' if loss == 'cross_entropy' else ', CW'}" for word in STRENGTHS_IN_WORDS
      )
      panels[f"{norm}, {words}"] = names
      for name, radius in zip(names, radii, strict=True):
        attack = {"name": "pgd", "norm": norm, "epsilon": radius, "loss": loss}
        attack |= {"steps": 2 if smoke else 5 if small else 40}
        trained[name] = configs.model({"adversarial": {"attack": attack}}, recipe)
  vae_gan = {
    "architecture": {"name": "vae_gan", "latent": latent},
    "objective": {},
    "trainer": "vae_gan",
    "trainer_settings": {"reconstruction": weight, "discriminator_steps": discriminator_steps},
    "optimizer": {"name": "adam", "learning_rate": rate, "b1": b1, "b2": 0.9},
    "batch_size": 100,
    **({"steps": steps or 10} if smoke or steps else {"epochs": 5 if small else epochs}),
    "shuffle": False,
    "log_every": 50,
  }
  return {
    "title": (
      "Kim et al. 2019: the image manifold, "
      + {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST", "cifar10": "CIFAR-10"}[dataset]
      if not smoke
      else "Kim et al. 2019: the image manifold, digits"
    ),
    "summary": MANIFOLD_SUMMARY,
    "dataset": {
      "name": "digits" if smoke else dataset,
      "bounds": (-1.0, 1.0),
      "validation": (40_000 if dataset == "cifar10" else 50_000) if small else 0,
    },
    "seeds": (0,),
    "models": {**standards, **trained, "VAE-GAN": vae_gan},
    "studies": {
      "accuracy": {"kind": "accuracy"},
      **{
        f"PGD {norm}": {
          "kind": "robustness",
          "attacks": {
            "pgd": {"name": "pgd", "label": "PGD", "norm": norm, "steps": 2 if smoke else 10}
          },
          "epsilons": (0.0, *radii),
          "examples": 20 if smoke else 200 if small else 1000,
        }
        for norm, radii in MANIFOLD_RADII[dataset].items()
      },
      "manifold": {
        "kind": "manifold",
        "autoencoder": "VAE-GAN",
        "standards": tuple(standards),
        "panels": panels,
        "compared": {
          panel: panel.replace("l2", "linf") for panel in panels if panel.startswith("l2")
        },
        "attack": {**FAR, "steps": 4 if smoke else 40},
        "examples": 100 if smoke else 1000 if small else None,
        "tangent_examples": 20 if smoke else 200,
      },
    },
  }
