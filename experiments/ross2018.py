"""Ross & Doshi-Velez 2018: does penalising input gradients make networks robust, and readable?

Undefended networks, defensive distillation, adversarial training and gradient regularisation, the
last with its lambda chosen on validation images, under every attack of the paper and under
AutoAttack, which it did not have.

  python -m robust_saliency.main --config=experiments/ross2018.py:mnist,small --workdir=runs/ross

Words after the colon, in any order: a data set, a scale, and what makes the run shorter or longer.

  mnist      needs `python -m robust_saliency.data prepare mnist`.
  notmnist   needs an archive of notMNIST (see `python -m robust_saliency.data`). Of the 10,000
             images 1,000 are held out for validation; with an archive of the paper's 220,000,
             give --config.dataset.validation=10000 too.
  svhn       needs `python -m robust_saliency.data prepare svhn`; 2 GB of memory.

  small      the default: 800 steps a network (1,600 of the distilled one and its teacher), 1,000
             images attacked; on two CPU cores 75 minutes of training and 25 of studies where other
             work shared them. Expect 0.99 of MNIST's test images right, and the paper's ordering of
             transfer attacks, but not all of its numbers.
  paper      the paper's own training: 15,000 steps of 256 images, at the lambdas that it chose, and
             all test images; the better part of a day on two CPU cores. Stopped runs go on where
             they were.
  full       that with the choice among thirteen lambdas, on an accelerator as one program;
             days on two CPU cores.
  smoke      a few steps of everything, on scikit-learn's digits: a minute, for tests.

  main       only the networks of the paper's main comparison: undefended, distilled, adversarially
             trained, GR(y), and the source of the black-box examples. Claims about others go.
  masking    these without the adversarially trained one, which takes longest: enough for where
             gradients vanish.
  sweep      the choice among all lambdas of the paper's figure 9, eleven decades of them.
  5000       or another number: that many steps a network.

There is one network of each, of seed 0, so that a claim holds or fails in this run, or stays
undecided; from three seeds on, `--config.seeds="(0, 1, 2)"`, it is supported or refuted.

Lambdas here are the weight of the mean squared gradient length per example, equation 6 of the
paper. The numbers in the networks' names are those of the paper's figures and code, 512 times as
large (`robust_saliency/objectives/input_gradient.py` says why).
"""

import csv
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from robust_saliency.configs import ordered

DATASETS = ("mnist", "notmnist", "svhn")
SCALES = ("small", "paper", "full", "smoke")
LONG = ("paper", "full")
SWEEP = "sweep"
SHORTLY_TRAINED = tuple(
  f"{name} (4 epochs)" for name in ("undefended", "teacher", "distilled", "GR(1/K)")
)
NOT_COMPARED = ("GR(1/K)", "GR(distilled)", "GR(entropy)", "GR(y) + adversarial", *SHORTLY_TRAINED)
LEFT_OUT = {"main": NOT_COMPARED, "masking": (*NOT_COMPARED, "adversarial")}
PAPER = "Ross & Doshi-Velez 2018"
CODE_TO_PER_EXAMPLE = 1 / 512  # at the paper's batch of 256
GRID = (100, 178, 316, 562, 1000, 1778, 3162, 5623, 10000, 17783, 31623, 56234, 100000)
CERTAINTY_GRID = (1, 1.78, 3.16, 5.62, 10, 17.8, 31.6, 56.2, 100, 178, 316, 562, 1000)
FIGURE_9 = tuple(float(f"{10 ** (half / 2):.5g}") for half in range(-8, 15))

# The paper's own choices for GR(y) and GR(1/K), and what the small run chooses among.
PAPER_LAMBDAS = {"mnist": (56234, 1000), "notmnist": (562, 178), "svhn": (10000, 1000)}
SMALL_GRIDS = {
  "mnist": ((1778, 5623, 17783, 56234), (100, 316, 1000)),
  "notmnist": ((562, 1778, 5623), (56, 178, 562)),
  "svhn": ((1000, 3162, 10000), (32, 316, 1000)),
}
EPSILONS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
SHOWN = ("undefended", "distilled", "adversarial", "GR(1/K)", "GR(y)", "GR(y) + adversarial")

SUMMARY = (
  "A network whose loss changes little when its pixels do should be hard to fool and easy to read. "
  "Networks are trained plainly, by defensive distillation, on FGSM's adversarial examples, and "
  "with a penalty on the squared gradient of the loss with respect to the pixels: of the true "
  "class's loss, GR(y), or of all classes' alike, GR(1/K). Each is attacked through its own "
  "gradients and with examples made for the others; AutoAttack tells what is left. A claim is held "
  "against its threshold at this scale, which is not always the paper's. The numbers behind GR(y) "
  "and GR(1/K) are lambdas as the paper's figures give them; per example, as lambdas are given "
  "elsewhere here, they are 512 times as small."
)


def get_config(variant: str = "mnist,small") -> ConfigDict:
  """The experiment.

  Args:
    variant: words between commas, none needed: one each of `DATASETS`, `SCALES` and `LEFT_OUT`,
      `SWEEP`, and a number of steps.

  Raises:
    ValueError: if a word is none of these, or two are of one kind.
  """
  words = [word.strip() for word in variant.split(",") if word.strip()]
  kinds: dict[str, Callable[[str], bool]] = {
    "data set": DATASETS.__contains__,
    "scale": SCALES.__contains__,
    "part": LEFT_OUT.__contains__,
    "sweep": SWEEP.__eq__,
    "number of steps": lambda word: word.isdecimal() and int(word) > 0,
  }
  found = {kind: [word for word in words if is_one(word)] for kind, is_one in kinds.items()}
  for word in words:
    if not any(word in of_kind for of_kind in found.values()):
      raise ValueError(
        f"variant must be of {', '.join((*DATASETS, *SCALES, *LEFT_OUT, SWEEP))} and a number of "
        f"steps; got {word!r}"
      )
  for kind, of_kind in found.items():
    if len(of_kind) > 1:
      raise ValueError(f"variant must have one {kind} at most, got {' and '.join(of_kind)}")
  dataset, scale = (found["data set"] or ["mnist"])[0], (found["scale"] or ["small"])[0]
  steps = int(found["number of steps"][0]) if found["number of steps"] else None
  smoke = scale == "smoke"
  examples = {"smoke": 20, "small": 1000, "paper": None, "full": None}[scale]
  held_out = 100 if smoke else 5000 if dataset == "mnist" and scale in LONG else 1000
  families = lambdas(dataset, scale, sweep=SWEEP in words)
  parts = {
    "models": models(dataset, scale, families, steps),
    "studies": studies(dataset, scale, families, examples),
    "claims": claims(dataset, scale, families),
  }
  for part in found["part"]:
    parts = without(parts, LEFT_OUT[part])
  return ordered(
    {
      "title": f"{PAPER} on {'digits' if smoke else dataset}",
      "summary": SUMMARY,
      "scale": scale if steps is None else f"{scale}, {steps:,} steps",
      "dataset": {
        "name": "digits" if smoke else dataset,
        # SVHN comes with its own; the authors hold 5,000 of MNIST out.
        **({} if dataset == "svhn" and not smoke else {"validation": held_out}),
      },
      "seeds": (0,),
      **parts,
    }
  )


def without(parts: dict[str, dict], left_out: tuple[str, ...]) -> dict[str, dict]:
  """The models, studies and claims that are left without these networks or families."""
  families = parts["studies"]["lambda"]["families"]
  family_of = {name: family for family, candidates in families.items() for name in candidates}

  def stays(name: str) -> bool:
    return family_of.get(name, name) not in left_out

  def left(settings: dict) -> dict:
    kept = dict(settings)
    if "models" in kept:
      kept["models"] = tuple(filter(stays, kept["models"]))
    if "families" in kept:
      kept["families"] = {name: family for name, family in kept["families"].items() if stays(name)}
    if not all(map(stays, kept.get("overlap", {}).get("models", ()))):
      del kept["overlap"]
    return kept

  def named(measure: dict) -> set[str]:
    roles = ("model", "baseline", "source", "target", "family")
    return {*(measure[role] for role in roles if role in measure), *measure.get("targets", ())}

  of_models = {name: left(settings) for name, settings in parts["studies"].items()}
  return {
    "models": {name: model for name, model in parts["models"].items() if stays(name)},
    "studies": {
      name: settings for name, settings in of_models.items() if settings.get("models", True)
    },
    "claims": {
      name: claim
      for name, claim in parts["claims"].items()
      if all(map(stays, named(claim.get("measure", {}))))
    },
  }


def lambdas(dataset: str, scale: str, *, sweep: bool = False) -> dict[str, dict[str, float]]:
  """Family -> {network: its lambda in the paper's numbers}."""
  paper_y, paper_certainty = PAPER_LAMBDAS[dataset]
  of_y, of_certainty = (GRID, CERTAINTY_GRID) if scale == "full" else SMALL_GRIDS[dataset]
  codes: dict[str, tuple[float, ...]]
  if sweep:
    codes = {
      "GR(y)": tuple(sorted({*FIGURE_9, paper_y})),
      "GR(1/K)": FIGURE_9,
      "GR(distilled)": FIGURE_9,
      "GR(entropy)": FIGURE_9,
    }
  elif scale == "paper":
    codes = {"GR(y)": (paper_y,), "GR(1/K)": (paper_certainty,)}
  elif scale == "smoke":
    codes = {
      "GR(y)": of_y[:2],
      "GR(1/K)": of_certainty[:1],
      "GR(distilled)": of_y[1:2],
      "GR(entropy)": of_y[1:2],
    }
  else:
    others = (100, 1000, 10000, 100000) if scale == "full" else (of_y[len(of_y) // 2],)
    codes = {
      "GR(y)": of_y,
      "GR(1/K)": of_certainty,
      "GR(distilled)": others,
      "GR(entropy)": others,
    }
  return {
    family: {f"{family} {in_a_name(code)}": code for code in of_family}
    for family, of_family in codes.items()
  }


def in_a_name(code: float) -> str:
  """A lambda as a config's field may have it, without a point.

  >>> in_a_name(0.00031623), in_a_name(1.78), in_a_name(56234)
  ('3e-4', '2', '56234')
  """
  return f"{code:.0f}" if code >= 1 else f"{code:.0e}".replace("e-0", "e-")


def models(
  dataset: str, scale: str, families: Mapping[str, Mapping[str, float]], steps: int | None = None
) -> dict:
  """Every network by name; `steps` are those of each, None for the scale's."""
  long, smoke = scale in LONG, scale == "smoke"
  architecture: dict = {"name": "digits" if smoke else "ross"}
  if dataset == "svhn" and not smoke:
    architecture["contrast_mean"] = "batch" if long else "image"
  duration = {"steps": steps or (15000 if long else 20 if smoke else 800)}

  def model(objective: dict, *, learning_rate: float | None = None, **more: Any) -> dict:
    return {
      "architecture": architecture,
      "objective": objective,
      "optimizer": {
        "name": "adam",
        "learning_rate": learning_rate or (2e-4 if long else 1e-3),
        "eps": 1e-4,
      },
      "batch_size": 256 if long else 64 if smoke else 128,
      **({} if "epochs" in more else duration),
      "shuffle": not long,  # the authors never shuffle
      "log_every": 20,
      "checkpoint_every": 500 if long else 400,
      **more,
    }

  def penalty(term: str, code: float, **more: object) -> dict:
    return {term: {"weight": code * CODE_TO_PER_EXAMPLE, **more}}

  def regularised(family: str, term: str, more: Mapping, **settings: object) -> dict:
    return {
      name: model({**plain, **penalty(term, code, **settings)}, **more)
      for name, code in families.get(family, {}).items()
    }

  plain = {"cross_entropy": {"weight": 1.0}}
  at_50 = {"cross_entropy": {"temperature": 50.0}}
  distilled = {"distillation": {"temperature": 50.0}}
  adversarial = {
    "adversarial": {
      "weight": 0.5,
      "attack": {"name": "fgsm", "epsilon": 0.3},
      "attack_labels": "predicted",
      "attack_mode": "training",
    }
  }
  probe: dict = {
    "probe": {
      "every": 10 if smoke else 100,
      "examples": 100 if smoke else 512,
      "source": "source",
      "epsilon": 0.2,
    }
  }
  # At temperature 50 the gradients are 50 times as small, and Adam's epsilon slows them down.
  longer = {} if long or smoke or steps else {"steps": 1600}
  taught = {"steps": min(steps or 15000, 10000)} if long else longer
  paper_certainty = PAPER_LAMBDAS[dataset][1]
  shortly: dict = {"epochs": 4, "learning_rate": 1e-3}
  undefended_4, teacher_4, distilled_4, certain_4 = SHORTLY_TRAINED
  return {
    "source": model(plain, seed_offset=1000),
    "undefended": model(plain, **probe),
    "teacher": model(at_50, **taught),
    "distilled": model(distilled, teacher="teacher", **longer, **probe),
    "adversarial": model({"cross_entropy": {"weight": 0.5}, **adversarial}, **probe),
    **regularised("GR(y)", "input_gradient_penalty", probe),
    **regularised("GR(1/K)", "certainty_penalty", probe),
    # Halved as a whole, as the authors' code does.
    "GR(y) + adversarial": model(
      {
        "cross_entropy": {"weight": 0.5},
        **penalty("input_gradient_penalty", lambda_of_both(dataset, scale) / 2),
        **adversarial,
      },
      **probe,
    ),
    **regularised(
      "GR(distilled)", "distilled_label_penalty", {"teacher": "teacher"}, temperature=50.0
    ),
    **regularised("GR(entropy)", "entropy_penalty", {}),
    # Those that made images for people; the small run's are trained as shortly themselves.
    **(
      {
        undefended_4: model(plain, **shortly),
        teacher_4: model(at_50, **shortly),
        distilled_4: model(distilled, teacher=teacher_4, **shortly),
        certain_4: model({**plain, **penalty("certainty_penalty", paper_certainty)}, **shortly),
      }
      if long
      else {}
    ),
  }


def lambda_of_both(dataset: str, scale: str) -> float:
  """Of GR(y) together with adversarial training; the paper does not say which one it took."""
  of_y, _ = SMALL_GRIDS[dataset]
  return PAPER_LAMBDAS[dataset][0] if scale in LONG else of_y[len(of_y) // 2]


def studies(
  dataset: str,
  scale: str,
  families: Mapping[str, Mapping[str, float]],
  examples: int | None,
) -> dict:
  """Every measurement by name."""
  long, smoke = scale in LONG, scale == "smoke"
  overlap = {"models": ("undefended", "adversarial", "GR(y)"), "epsilon": overlap_epsilon(dataset)}
  fgsm, tgsm = {"name": "fgsm", "label": "FGSM"}, {"name": "tgsm", "label": "TGSM y+1"}
  jsma = {"name": "jsma", "label": "JSMA", "gamma": 0.1 if smoke else 0.25}
  iterated = {"name": "tgsm", "label": "iterated TGSM", "epsilon": 0.1, "steps": 15}
  grid = {"models": SHOWN, "epsilons": EPSILONS, "examples": examples}
  certainty = {
    "name": "gradient",
    "score": "uniform_cross_entropy",
    "label": "Gradient of H(1/K, f(x))",
  }
  per_class = 1 if smoke else 5
  led = SHOWN[:-1]
  undefended_4, _, distilled_4, certain_4 = SHORTLY_TRAINED
  return {
    "lambda": {
      "kind": "selection",
      "families": {
        family: {name: code * CODE_TO_PER_EXAMPLE for name, code in candidates.items()}
        for family, candidates in families.items()
      },
      "reference": "undefended",
      "source": "source",
      "attack": fgsm,
      "epsilon": 0.2,
      "keep": 0.97,
    },
    "accuracy": {"kind": "accuracy", "models": SHOWN},
    "FGSM": {"kind": "transfer", "attack": fgsm, "overlap": overlap, **grid},
    "TGSM": {"kind": "transfer", "attack": tgsm, "overlap": overlap, **grid},
    "masking": {
      "kind": "robustness",
      "models": ("undefended", "distilled", "GR(y)"),
      "attacks": {
        "float32": {"name": "fgsm", "label": "FGSM, float32"},
        "float64": {"name": "fgsm", "label": "FGSM, float64", "precision": "float64"},
        "tempered": {"name": "fgsm", "label": "FGSM, logits / 50", "temperature": 50.0},
      },
      "epsilons": EPSILONS[:4],
      "examples": examples,
    },
    "AutoAttack": {
      "kind": "evaluation",
      "models": SHOWN,
      "attacks": {
        "fgsm": fgsm,
        "autoattack": {
          "name": "autoattack",
          "label": "AutoAttack, standard",
          **({"steps": 2, "queries": 10} if smoke else {}),
        },
      },
      "epsilon": 0.1,
      "examples": 20 if smoke else 1000 if scale == "full" else 100,
    },
    "gradients": {"kind": "gradients", "models": SHOWN, "examples": examples},
    "input gradients": {
      "kind": "saliency",
      "models": SHOWN,
      "attribution": {
        **certainty,
        "label": "Gradient of H(1/K, f(x)), red: brighter makes the network more certain",
      },
    },
    "input gradients by lambda": {
      "kind": "saliency",
      # Of many every other one.
      "models": tuple(families["GR(y)"])[:: 2 if len(families["GR(y)"]) > 8 else 1],
      "attribution": certainty,
    },
    "readability": {
      "kind": "map_quality",
      "models": SHOWN,
      "attribution": certainty,
      "examples": examples,
    },
    "JSMA": {
      "kind": "targeted",
      "models": ("undefended", "GR(y)") if smoke else ("undefended", "distilled", *SHOWN[3:5]),
      "attack": jsma,
      "per_class": per_class,
    },
    "iterated TGSM": {
      "kind": "targeted",
      "models": led,
      "attack": iterated,
      "per_class": per_class,
      "frames": (0, 1, 2, 5, 10, 15),
    },
    # Where the paper's 15 steps lead nearly all of GR(y)'s images to their target.
    "short TGSM": {
      "kind": "targeted",
      "models": led,
      "attack": {**iterated, "label": "iterated TGSM, 5 steps", "steps": 5},
      "per_class": per_class,
    },
    **(
      {
        "images for people": {
          "kind": "targeted",
          "models": (undefended_4, distilled_4, certain_4),
          "attack": iterated if dataset == "svhn" else jsma,
          "per_class": per_class,
        }
      }
      if long
      else {}
    ),
  }


def overlap_epsilon(dataset: str) -> float:
  """The radius at which the authors count who is fooled together."""
  return 0.4 if dataset == "mnist" else 0.5


# Where the paper's own numbers come from, beyond its figures 1 to 3: medians of the lengths of
# loss gradients (figure 4 for MNIST, the authors' notebooks for the others; 1/1000 of an
# example's), modes of other classes' log-probabilities, clean accuracies (both the notebooks'), and
# of the images that fool the adversarially trained network or GR(y) those that fool both (figure 10
# and the notebooks).
MEDIAN_LENGTHS = {
  "mnist": {
    "y": {"undefended": 5e-11, "distilled": 1e-20, "adversarial": 3e-10, "GR(y)": 3e-7},
    "y + 1": {"undefended": 2.4e-2, "distilled": 3.5e-1, "adversarial": 3.5e-2, "GR(y)": 5e-3},
  },
  "notmnist": {
    "y": {"undefended": 3e-8, "distilled": 1e-20, "adversarial": 5e-7, "GR(y)": 9e-6},
    "y + 1": {"undefended": 3e-2, "distilled": 2.3e-1, "adversarial": 9e-3, "GR(y)": 1.15e-3},
  },
  "svhn": {
    "y": {"undefended": 9e-6, "distilled": 3e-5, "adversarial": 5e-6, "GR(y)": 1.2e-4},
    "y + 1": {"undefended": 1.6e-2, "distilled": 3e-1, "adversarial": 8.7e-3, "GR(y)": 6.2e-4},
  },
}
MEAN_LENGTHS = {"undefended": 2e-4, "distilled": 3e-3, "adversarial": 2e-4, "GR(y)": 5e-5}  # MNIST
LENGTH_FLOOR = 1e-17  # 1e-20 in the paper's units
MODES: dict[str, dict[str, float]] = {
  "mnist": {"undefended": -26, "GR(y)": -12, "distilled": -430},
  "notmnist": {"undefended": -21, "GR(y)": -8.5, "distilled": -380},
  "svhn": {"undefended": -18, "GR(y)": -4, "distilled": -390},
}
CLEAN = {
  "mnist": {"undefended": 0.9930, "GR(y)": 0.9942, "GR(1/K)": 0.9944},
  "notmnist": {"undefended": 0.9707, "GR(y)": 0.9681, "GR(1/K)": 0.9727},
  "svhn": {"undefended": 0.9267, "GR(y)": 0.8833, "GR(1/K)": 0.9233},
}
JOINTLY_FOOLED = {
  "mnist": {"adversarial": (743, 4787), "GR(y)": (6331, 8905)},
  "notmnist": {"adversarial": (29, 73), "GR(y)": (212, 254)},
  "svhn": {"adversarial": (66, 104), "GR(y)": (212, 241)},
}


def published_accuracies(dataset: str) -> dict[tuple[str, str, str, float], float]:
  """(attack, made for, tested on, epsilon) -> accuracy, off the paper's figures 1 to 3.

  Read to about 0.02. The figures' leftmost marks stand at 0.01, not at 0.
  """
  path = Path(__file__).with_name("ross2018_published.csv")
  with path.open(encoding="utf-8", newline="") as file:
    return {
      (row["attack"], row["source"], row["target"], float(epsilon)): float(accuracy)
      for row in csv.DictReader(file)
      if row["dataset"] == dataset
      for epsilon, accuracy in row.items()
      if epsilon.replace(".", "").isdecimal() and accuracy
    }


def claims(dataset: str, scale: str, families: Mapping[str, Mapping[str, float]]) -> dict:
  """The paper's claims, C1 to C21 of our reading of it, and what our own run should reach.

  What the paper says of one data set is measured on the others too; `of` names those that it
  means, and the paper's number beside ours is that of the data set at hand wherever it has one.
  """
  published = published_accuracies(dataset)
  titles = {"mnist": "MNIST", "notmnist": "notMNIST", "svhn": "SVHN"}
  mnist, svhn = dataset == "mnist", dataset == "svhn"

  def claim(
    statement: str,
    source: str,
    paper: str | None,
    relation: str,
    threshold: float,
    /,
    *,
    of: tuple[str, ...] = DATASETS,
    **measure: object,
  ) -> dict:
    meant = (
      "" if dataset in of else f" (The paper says so of {' and '.join(titles[d] for d in of)}.)"
    )
    return {
      "statement": statement + meant,
      "source": source,
      **({} if paper is None else {"paper_value": paper}),
      "measure": measure,
      "relation": relation,
      "threshold": threshold,
    }

  def in_paper(place: str) -> str:
    return f"{PAPER}, {place}"

  def place_of(study: str, *networks: str) -> str:
    figure = 2 if "GR(y) + adversarial" in networks else 3 if study == "TGSM" else 1
    return in_paper(f"figure {figure}")

  def text(number: float) -> str:
    return f"{number:.2f}".replace("-", "−")

  def difference(ours: float | None, theirs: float | None, form: Callable = text) -> str | None:
    if ours is None or theirs is None:
      return None
    minus = "+" if theirs < 0 else "−"
    return f"{form(ours - theirs)} ({form(ours)} {minus} {form(abs(theirs))})"

  def accuracy(
    statement: str, relation: str, threshold: float, *, study: str = "FGSM", **places: Any
  ) -> dict:
    paper = published.get((study.lower(), places["source"], places["target"], places["epsilon"]))
    return claim(
      statement,
      place_of(study, places["source"], places["target"]),
      None if paper is None else text(paper),
      relation,
      threshold,
      name="transfer_accuracy",
      study=study,
      **places,
    )

  def gap(
    statement: str,
    relation: str = ">=",
    threshold: float = 0.0,
    *,
    study: str = "FGSM",
    **places: Any,
  ) -> dict:
    ours, theirs = (
      published.get((study.lower(), places["source"], places[role], places["epsilon"]))
      for role in ("target", "baseline")
    )
    return claim(
      statement,
      place_of(study, places["source"], places["target"], places["baseline"]),
      difference(ours, theirs),
      relation,
      threshold,
      name="transfer_accuracy_gap",
      study=study,
      **places,
    )

  def decades(target: str, model: str, baseline: str) -> str:
    ours, theirs = (MEDIAN_LENGTHS[dataset][target][name] for name in (model, baseline))
    return text(math.log10(ours / theirs))

  def jointly(source: str) -> str:
    both, either = JOINTLY_FOOLED[dataset][source]
    return f"{both / either:.2f} ({both:,} of {either:,})"

  def only_on(name: str, paper: str | None) -> str | None:
    return paper if dataset == name else None

  paper_y = PAPER_LAMBDAS[dataset][0]
  shown_y = next((name for name, code in families["GR(y)"].items() if code == paper_y), None)
  # A smoke test has only the first of the small run's lambdas.
  shown_y = shown_y or next(iter(families["GR(y)"]))
  lengths = in_paper("figure 4") if mnist else "The authors' notebooks"
  joint_epsilon = overlap_epsilon(dataset)
  clean = 0.985 if mnist else 0.9
  both = f"both defences together (lambda {lambda_of_both(dataset, scale)})"
  every = {
    **{
      f"accurate {model}": claim(
        f"The {model} network classifies at least {clean} of the clean test images.",
        "this experiment", None, ">=", clean, name="accuracy", study="accuracy", model=model,
      )
      for model in ("undefended", "distilled", "adversarial")
    },
    **{
      f"C1 {source}": gap(
        f"C1: of FGSM examples made for the {source} network, at epsilon 0.4, GR(y) classifies "
        f"{'more' if svhn else 'at least 0.2 more'} than the undefended network.",
        ">=", 0.0 if svhn else 0.2,
        source=source, target="GR(y)", baseline="undefended", epsilon=0.4,
      )
      for source in ("undefended", "adversarial")
    },
    **{
      f"C2 {where}": gap(
        f"C2: of FGSM examples made for the {source} network, at epsilon {epsilon}, "
        f"{network(ours)} classifies at least as many as {network(theirs)}.",
        of=("mnist",), source=source, target=ours, baseline=theirs, epsilon=epsilon,
      )
      for where, source, epsilon, ours, theirs in (
        ("small", "undefended", 0.2, "adversarial", "GR(y)"),
        ("middling", "undefended", 0.3, "adversarial", "GR(y)"),
        ("large", "undefended", 0.4, "GR(y)", "adversarial"),
        ("larger", "undefended", 0.5, "GR(y)", "adversarial"),
        ("large, adversarial", "adversarial", 0.4, "adversarial", "GR(y)"),
        ("larger, adversarial", "adversarial", 0.5, "GR(y)", "adversarial"),
      )
    },
    **{
      f"C3 {source}": gap(
        "C3: at epsilon 0.7, GR(y) classifies at least as many FGSM examples made for the "
        f"{source} network as the adversarially trained network.",
        of=("svhn",), source=source, target="GR(y)", baseline="adversarial", epsilon=0.7,
      )
      for source in ("undefended", "distilled", "adversarial")
    },
    **{
      f"C3b {source}": gap(
        f"C3b: of TGSM examples made for the {source} network, at epsilon 0.7, the adversarially "
        "trained network classifies at least as many as GR(y).",
        of=("svhn",), study="TGSM",
        source=source, target="adversarial", baseline="GR(y)", epsilon=0.7,
      )
      for source in ("undefended", "distilled", "adversarial")
    },
    "C4 GR, two tenths": accuracy(
      "C4: GR(y) is not robust to FGSM on itself: at most 0.70 at epsilon 0.2.",
      "<=", 0.7, of=("mnist",), source="GR(y)", target="GR(y)", epsilon=0.2,
    ),
    "C4 GR, three tenths": accuracy(
      "C4: and at most 0.30 at epsilon 0.3.",
      "<=", 0.3, of=("mnist",), source="GR(y)", target="GR(y)", epsilon=0.3,
    ),
    "C4 adversarial": accuracy(
      "C4: the adversarially trained network keeps at least 0.97 under FGSM on itself at epsilon "
      "0.2.",
      ">=", 0.97, of=("mnist",), source="adversarial", target="adversarial", epsilon=0.2,
    ),
    "C5": claim(
      "C5: FGSM examples made for GR(y) at epsilon 0.5 fool every network: at most 0.20.",
      in_paper("figure 1"),
      "at most " + text(max(published["fgsm", "GR(y)", name, 0.5] for name in MEAN_LENGTHS)),
      "<=", 0.2, name="highest_transfer_accuracy", study="FGSM", source="GR(y)", epsilon=0.5,
    ),
    "C6 drop": claim(
      "C6: FGSM examples made for the distilled network do fool others: some network loses 0.2 or "
      "more." if svhn else
      "C6: FGSM examples made for the distilled network fool nobody: at no epsilon up to 0.7 does "
      f"any network lose more than {0.03 if mnist else 0.05} of its accuracy.",
      in_paper("figure 1"), {"mnist": "about 0", "notmnist": "0.04", "svhn": "0.51"}[dataset],
      *((">=", 0.2) if svhn else ("<=", 0.03 if mnist else 0.05)),
      name="largest_transfer_drop", study="FGSM", source="distilled",
    ),
    "C6 zeros": claim(
      f"C6: {'fewer than' if svhn else 'at least'} three quarters of the distilled network's input "
      "gradients are exactly zero.",
      lengths, "no box on the floor" if svhn else "whole box on the floor",
      "<=" if svhn else ">=", 0.75,
      name="gradient_is_zero", study="gradients", model="distilled",
    ),
    "C7": accuracy(
      "C7: TGSM does fool the distilled network: at most 0.10 at epsilon 0.2.",
      "<=", 0.1, of=("mnist", "svhn"), study="TGSM",
      source="distilled", target="distilled", epsilon=0.2,
    ),
    "C7 undefended": accuracy(
      "C7: and the undefended network by the same examples: at most 0.5 at epsilon 0.3.",
      "<=", 0.5, of=("mnist",), study="TGSM",
      source="distilled", target="undefended", epsilon=0.3,
    ),
    "C8": gap(
      "C8: of FGSM examples made for the adversarially trained network, at epsilon 0.3, the "
      "distilled network classifies fewer than the undefended one.",
      "<=", of=("mnist",),
      source="adversarial", target="distilled", baseline="undefended", epsilon=0.3,
    ),
    **{
      f"C9 {source}, {baseline}": gap(
        f"C9: {both} classify at least as many FGSM examples made for {network(source)}, at "
        f"epsilon 0.5, as {network(baseline)}.",
        of=("svhn",),
        source=source, target="GR(y) + adversarial", baseline=baseline, epsilon=0.5,
      )
      for source in ("undefended", "adversarial", "GR(y) + adversarial")
      for baseline in ("GR(y)", "adversarial")
    },
    "C9 exception": accuracy(
      f"C9: but {both} do not stand FGSM examples made for GR(y): at most 0.2 at epsilon 0.7.",
      "<=", 0.2, of=("svhn",), source="GR(y)", target="GR(y) + adversarial", epsilon=0.7,
    ),
    "C10": claim(
      f"C10: {both} stand FGSM on themselves better at epsilon 0.4 than at 0.1, a sign of label "
      "leaking.",
      in_paper("figure 2"), only_on("svhn", difference(0.88, 0.86)), ">=", 0.0, of=("svhn",),
      name="transfer_accuracy_change", study="FGSM", source="GR(y) + adversarial",
      target="GR(y) + adversarial", epsilon=0.4, smaller_epsilon=0.1,
    ),
    **{
      f"C11 {family}": claim(
        f"C11: {family} keeps at least 97 % of the undefended network's clean accuracy.",
        "The authors' notebooks", f"{CLEAN[dataset][family] / CLEAN[dataset]['undefended']:.3f}",
        ">=", 0.97, name="accuracy_kept", study="accuracy", model=family, baseline="undefended",
      )
      for family in ("GR(y)", "GR(1/K)")
    },
    **{
      f"C12 {model} over {baseline}, {target}": claim(
        f"C12: median length of the gradient of the loss of {target}: {model} over {baseline}, "
        f"log10 of the ratio at least {threshold}; what is shorter than 1e-17 counts as that, as "
        "in the paper's figure.",
        lengths, decades(target, model, baseline), ">=", threshold, of=("mnist",),
        name="gradient_log_ratio", study="gradients",
        model=model, baseline=baseline, target=target, floor=LENGTH_FLOOR,
      )
      for model, baseline, target, threshold in (
        ("GR(y)", "adversarial", "y", 0.0),
        ("adversarial", "undefended", "y", 0.0),
        ("undefended", "distilled", "y", 0.0),
        ("distilled", "adversarial", "y + 1", 0.0),
        ("adversarial", "undefended", "y + 1", 0.0),
        ("undefended", "GR(y)", "y + 1", 0.0),
        ("distilled", "GR(y)", "y + 1", 1.5),
      )
    },
    **{
      f"C12 mean, {baseline}": claim(
        "C12: in the mean, GR(y)'s gradients of the loss of y are shorter than those of the "
        f"{baseline} network.",
        in_paper("figure 4"),
        only_on(
          "mnist", difference(1000 * MEAN_LENGTHS["GR(y)"], 1000 * MEAN_LENGTHS[baseline])
        ),
        "<=", 0.0, of=("mnist",),
        name="gradient_length_gap", study="gradients", model="GR(y)", baseline=baseline,
      )
      for baseline in ("undefended", "distilled", "adversarial")
    },
    "C13 GR": claim(
      "C13: log-probabilities of classes that are not predicted are nearer to 0 for GR(y) than for "
      "the undefended network (a difference of means, in the paper of modes).",
      "The authors' notebooks",
      difference(MODES[dataset]["GR(y)"], MODES[dataset]["undefended"], short), ">=", 0.0,
      name="other_log_probability_gap", study="gradients", model="GR(y)", baseline="undefended",
    ),
    "C13 distilled": claim(
      "C13: for the distilled network they are below −300 (our mean, the paper's mode).",
      "The authors' notebooks", short(MODES[dataset]["distilled"]), "<=", -300.0,
      name="other_log_probability", study="gradients", model="distilled",
    ),
    "C14": claim(
      "C14: at its best lambda GR(y) stands black-box FGSM at epsilon 0.2 better than the "
      "undefended network, by at least 0.1.",
      in_paper("figure 9"), only_on("svhn", difference(0.74, 0.455)), ">=", 0.1, of=("svhn",),
      name="best_of_family", study="lambda", family="GR(y)",
    ),
    "C15": claim(
      "C15: GR(y)'s best accuracy there is above GR(1/K)'s.",
      in_paper("figure 9"), only_on("svhn", difference(0.74, 0.675)), ">=", 0.0, of=("svhn",),
      name="best_of_family", study="lambda", family="GR(y)", baseline="GR(1/K)",
    ),
    **{
      f"C15 entropy, {what}": claim(
        f"C15: penalising the entropy's gradient changes nothing: {statement}. (With the labels "
        "held constant it cannot, since that gradient is zero for any network; the paper does not "
        "say whether it held them so. Here they are not.)",
        in_paper("figure 9"), only_on("svhn", "about 0"), relation, threshold, of=("svhn",),
        name="best_of_family", study="lambda", family="GR(entropy)",
      )
      for what, statement, relation, threshold in (
        ("gain", "at most 0.05 more accuracy under black-box FGSM than undefended", "<=", 0.05),
        ("loss", "at most 0.05 less", ">=", -0.05),
      )
    },
    "C15 distilled": claim(
      "C15: GR with a distilled network's labels is within 0.05 of GR(y), or better.",
      in_paper("figure 9"), only_on("svhn", "within 0.02"), ">=", -0.05, of=("svhn",),
      name="best_of_family", study="lambda", family="GR(distilled)", baseline="GR(y)",
    ),
    "C16 undefended": claim(
      "C16: while the undefended network learns, its accuracy under black-box FGSM at epsilon 0.2 "
      "falls from its peak by at least 0.1.",
      "The authors' notebooks", only_on("mnist", difference(0.55, 0.79)), "<=", -0.1,
      of=("mnist", "svhn"), name="probe_change", model="undefended", metric="probe_fgsm_accuracy",
    ),
    "C16 clean": claim(
      "C16: its clean accuracy does not: it ends within 0.02 of its peak.",
      "The authors' notebooks", only_on("mnist", "about 0"), ">=", -0.02,
      of=("mnist", "svhn"), name="probe_change", model="undefended", metric="probe_accuracy",
    ),
    "C16 GR": claim(
      f"C16: that of {shown_y}, the paper's lambda where this run has it, stays within 0.05 of its "
      "peak.",
      "The authors' notebooks", only_on("mnist", "about 0 (holds 0.91 to 0.93)"), ">=", -0.05,
      of=("mnist", "svhn"), name="probe_change", model=shown_y, metric="probe_fgsm_accuracy",
    ),
    "C17 adversarial": claim(
      "C17: of the FGSM examples made for the adversarially trained network that fool it or GR(y), "
      f"few fool both: at most 0.25 at epsilon {joint_epsilon}.",
      in_paper("figure 10") if mnist else "The authors' notebooks", jointly("adversarial"),
      "<=", 0.25, of=("mnist",), name="jointly_fooled", study="FGSM",
      source="adversarial", targets=("adversarial", "GR(y)"), epsilon=joint_epsilon,
    ),
    "C17 GR": claim(
      f"C17: of those made for GR(y), most fool both: at least 0.6 at epsilon {joint_epsilon}.",
      in_paper("figure 10") if mnist else "The authors' notebooks", jointly("GR(y)"),
      ">=", 0.6, of=("mnist",), name="jointly_fooled", study="FGSM",
      source="GR(y)", targets=("adversarial", "GR(y)"), epsilon=joint_epsilon,
    ),
    **{
      f"C18 {study}": claim(
        f"C18: images that {how} makes for GR(y) look like their target to other networks more "
        "often than those made for the undefended network.",
        in_paper(figure), "by eye", ">=", 0.0,
        name="target_rate_gap", study=study, model="GR(y)", baseline="undefended",
      )
      for study, how, figure in (
        ("JSMA", "JSMA", "figure 5"),
        ("short TGSM", "iterated TGSM in 5 steps", "figure 11"),
        ("iterated TGSM", "iterated TGSM in the paper's 15 steps", "figure 11"),
      )
    },
    "C18 strokes": claim(
      "C18: the pixels that JSMA changes for GR(y) lie together in strokes: more of them in a "
      "connected group than for the undefended network.",
      in_paper("figure 5"), "by eye", ">=", 0.0,
      name="stroke_size_gap", study="JSMA", model="GR(y)", baseline="undefended",
    ),
    "C18 variation": claim(
      "C18: GR(y)'s input gradients vary less from pixel to pixel than the undefended network's "
      "(total variation over mean size).",
      in_paper("figure 6"), "by eye", "<=", 0.0, name="map_quality_gap", study="readability",
      model="GR(y)", baseline="undefended", number="total_variation",
    ),
    "C18 alignment": claim(
      "C18: and they are more like the image (cosine).",
      in_paper("figure 6"), "by eye", ">=", 0.0, name="map_quality_gap", study="readability",
      model="GR(y)", baseline="undefended", number="alignment",
    ),
    "C19": {
      "statement": (
        "C19: people are fooled by GR(1/K)'s examples more often than by the undefended network's, "
        "and find its mistakes more reasonable."
      ),
      "source": in_paper("table 1"),
      "paper_value": "16.4 % against 2.0 %; 41.8 % against 26.0 %",
      "needs": "votes",
    },
    "C20": {
      "statement": (
        "C20: a step with the penalty takes a little over twice as long as a plain one, an "
        "adversarial one about three times (benchmarks/step_costs.py times it on a quiet machine)."
      ),
      "source": in_paper("section Experiments"),
      "paper_value": "slightly above 2; 3",
      "needs": "a benchmark",
    },
    "C21": claim(
      "C21: adversarial training is no implicit gradient penalty: its gradients of the loss of "
      "y + 1 are at most ten times shorter than the undefended network's (log10 of the ratio).",
      lengths, decades("y + 1", "adversarial", "undefended"), ">=", -1.0,
      name="gradient_log_ratio", study="gradients",
      model="adversarial", baseline="undefended", target="y + 1",
    ),
  }  # fmt: skip
  return {
    name: entry
    for name, entry in every.items()
    if entry.get("measure", {}).get("family", "GR(y)") in families
  }


def network(name: str) -> str:
  """A network in a sentence.

  >>> network("adversarial"), network("GR(y)")
  ('the adversarial network', 'GR(y)')
  """
  return name if name.startswith("GR") else f"the {name} network"


def short(number: float) -> str:
  """A number without needless zeros, its minus sign as wide as a plus."""
  return f"{number:g}".replace("-", "−")
