"""Ross & Doshi-Velez 2018: does penalising input gradients make networks robust, and readable?

Undefended networks, defensive distillation, adversarial training and gradient regularisation, the
last with its lambda chosen on validation images, under every attack of the paper and under
AutoAttack, which it did not have.

  python -m robust_saliency.main --config=experiments/ross2018.py:mnist,small --workdir=runs/ross

Words after the colon, in any order: a data set, a scale, and what makes the run shorter.

  mnist      needs `python -m robust_saliency.data prepare mnist`.
  notmnist   needs an archive of notMNIST (see `python -m robust_saliency.data`).
  svhn       needs `python -m robust_saliency.data prepare svhn`; 2 GB of memory.

  small      the default: 800 steps a network, 1,000 images attacked; on two CPU cores 75 minutes
             of training and 25 of studies where other work shared them. Expect 0.99 of MNIST's
             test images right, and the paper's ordering of transfer attacks, but not all of its
             numbers.
  paper      the paper's own training: 15,000 steps of 256 images, at the lambdas that it chose, and
             all test images; hours on two CPU cores. Stopped runs go on where they were.
  full       that with the choice among thirteen lambdas, on an accelerator as one program;
             days on two CPU cores.
  smoke      a few steps of everything, on scikit-learn's digits: a minute, for tests.

  main       only the networks of the paper's main comparison: undefended, distilled, adversarially
             trained, GR(y), and the source of the black-box examples. Claims about others go.
  masking    these without the adversarially trained one, which takes longest: enough for where
             gradients vanish.
  5000       or another number: that many steps a network.

Lambdas here are the weight of the mean squared gradient length per example, equation 6 of the
paper. The numbers in the networks' names are those of the paper's figures and code, 512 times as
large (`robust_saliency/objectives/input_gradient.py` says why).
"""

from ml_collections import ConfigDict

from robust_saliency.configs import ordered

DATASETS = ("mnist", "notmnist", "svhn")
SCALES = ("small", "paper", "full", "smoke")
LONG = ("paper", "full")
VARIANTS_OF_GR = ("GR(1/K)", "GR(distilled)", "GR(entropy)", "GR(y) + adversarial")
LEFT_OUT = {"main": VARIANTS_OF_GR, "masking": (*VARIANTS_OF_GR, "adversarial")}
PAPER = "Ross & Doshi-Velez 2018"
CODE_TO_PER_EXAMPLE = 1 / 512  # at the paper's batch of 256
GRID = (100, 178, 316, 562, 1000, 1778, 3162, 5623, 10000, 17783, 31623, 56234, 100000)
CERTAINTY_GRID = (1, 2, 3, 6, 10, 18, 32, 56, 100, 178, 316, 562, 1000)

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
  "against its threshold at this scale, which is not always the paper's."
)


def get_config(variant: str = "mnist,small") -> ConfigDict:
  """The experiment.

  Args:
    variant: words between commas, none needed: one each of `DATASETS`, `SCALES` and `LEFT_OUT`, and
      a number of steps.

  Raises:
    ValueError: if a word is none of these.
  """
  words = [word.strip() for word in variant.split(",") if word.strip()]
  for word in words:
    if word not in (*DATASETS, *SCALES, *LEFT_OUT) and not (word.isdecimal() and int(word) > 0):
      raise ValueError(
        f"variant must be of {', '.join((*DATASETS, *SCALES, *LEFT_OUT))} and a number of steps; "
        f"got {word!r}"
      )
  dataset = next((word for word in words if word in DATASETS), "mnist")
  scale = next((word for word in words if word in SCALES), "small")
  steps = next((int(word) for word in words if word.isdecimal()), None)
  smoke = scale == "smoke"
  examples = {"smoke": 20, "small": 1000, "paper": None, "full": None}[scale]
  held_out = 100 if smoke else 5000 if dataset == "mnist" and scale in LONG else 1000
  parts = {
    "models": models(dataset, scale, steps),
    "studies": studies(dataset, scale, examples),
    "claims": claims(dataset, scale),
  }
  for word in words:
    parts = without(parts, LEFT_OUT.get(word, ()))
  return ordered(
    {
      "title": f"{PAPER} on {'digits' if smoke else dataset}",
      "summary": SUMMARY,
      "scale": scale if steps is None else f"{scale}, {steps:,} steps",
      "dataset": {
        "name": "digits" if smoke else dataset,
        # SVHN comes with its own; the authors hold 5,000 of MNIST out.
        **({} if dataset == "svhn" else {"validation": held_out}),
      },
      "seeds": (0,),
      **parts,
    }
  )


def without(parts: dict[str, dict], left_out: tuple[str, ...]) -> dict[str, dict]:
  """The models, studies and claims that are left without these networks or families."""

  def stays(name: str) -> bool:
    family = name.rsplit(" ", 1)[0] if name.split(" ")[-1].isdecimal() else name
    return family not in left_out

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

  return {
    "models": {name: model for name, model in parts["models"].items() if stays(name)},
    "studies": {name: left(settings) for name, settings in parts["studies"].items()},
    "claims": {
      name: claim
      for name, claim in parts["claims"].items()
      if all(map(stays, named(claim.get("measure", {}))))
    },
  }


def lambdas(dataset: str, scale: str) -> dict[str, tuple[int, ...]]:
  """Of each family, in the paper's numbers."""
  if scale == "paper":
    of_y_alone, of_certainty_alone = PAPER_LAMBDAS[dataset]
    return {"GR(y)": (of_y_alone,), "GR(1/K)": (of_certainty_alone,)}
  of_y: tuple[int, ...]
  of_certainty: tuple[int, ...]
  of_y, of_certainty = (GRID, CERTAINTY_GRID) if scale == "full" else SMALL_GRIDS[dataset]
  if scale == "smoke":
    of_y, of_certainty = of_y[:2], of_certainty[:1]
  others = (100, 1000, 10000, 100000) if scale == "full" else (of_y[len(of_y) // 2],)
  return {"GR(y)": of_y, "GR(1/K)": of_certainty, "GR(distilled)": others, "GR(entropy)": others}


def models(dataset: str, scale: str, steps: int | None = None) -> dict:
  """Every network by name; `steps` are those of each, None for the scale's."""
  long, smoke = scale in LONG, scale == "smoke"
  architecture: dict = {"name": "digits" if smoke else "ross"}
  if dataset == "svhn" and not smoke:
    architecture["contrast_mean"] = "batch" if long else "image"

  def model(objective: dict, **more: object) -> dict:
    return {
      "architecture": architecture,
      "objective": objective,
      "optimizer": {"name": "adam", "learning_rate": 2e-4 if long else 1e-3, "eps": 1e-4},
      "batch_size": 256 if long else 64 if smoke else 128,
      "steps": steps or (15000 if long else 20 if smoke else 800),
      "shuffle": not long,  # the authors never shuffle
      "log_every": 20,
      "checkpoint_every": 500 if long else 400,
      **more,
    }

  def penalty(term: str, code: float, **more: object) -> dict:
    return {term: {"weight": code * CODE_TO_PER_EXAMPLE, **more}}

  plain = {"cross_entropy": {"weight": 1.0}}
  attack = {"name": "fgsm", "epsilon": 0.3}
  adversarial = {
    "adversarial": {
      "weight": 0.5,
      "attack": attack,
      "attack_labels": "predicted",
      "attack_mode": "training",
    }
  }
  probe = {
    "probe": {
      "every": 10 if smoke else 100,
      "examples": 100 if smoke else 512,
      "source": "source",
      "epsilon": 0.2,
    }
  }
  # At temperature 50 the gradients are 50 times as small, and Adam's epsilon slows them down.
  longer = {} if long or smoke or steps else {"steps": 1600}
  codes = lambdas(dataset, scale)
  paper_y, _ = PAPER_LAMBDAS[dataset]
  combined = paper_y if long else codes["GR(y)"][len(codes["GR(y)"]) // 2]
  return {
    "source": model(plain, seed_offset=1000),
    "undefended": model(plain, **probe),
    "teacher": model({"cross_entropy": {"temperature": 50.0}}, **longer),
    "distilled": model(
      {"distillation": {"temperature": 50.0}}, teacher="teacher", **longer, **probe
    ),
    "adversarial": model({"cross_entropy": {"weight": 0.5}, **adversarial}, **probe),
    **{
      f"GR(y) {code}": model({**plain, **penalty("input_gradient_penalty", code)}, **probe)
      for code in codes["GR(y)"]
    },
    **{
      f"GR(1/K) {code}": model({**plain, **penalty("certainty_penalty", code)}, **probe)
      for code in codes["GR(1/K)"]
    },
    # Halved as a whole, as the authors' code does.
    "GR(y) + adversarial": model(
      {
        "cross_entropy": {"weight": 0.5},
        **penalty("input_gradient_penalty", combined / 2),
        **adversarial,
      },
      **probe,
    ),
    **{
      f"GR(distilled) {code}": model(
        {**plain, **penalty("distilled_label_penalty", code, temperature=50.0)}, teacher="teacher"
      )
      for code in codes.get("GR(distilled)", ())
    },
    **{
      f"GR(entropy) {code}": model({**plain, **penalty("entropy_penalty", code)})
      for code in codes.get("GR(entropy)", ())
    },
  }


def studies(dataset: str, scale: str, examples: int | None) -> dict:
  """Every measurement by name."""
  smoke = scale == "smoke"
  families = lambdas(dataset, scale)
  overlap = {
    "models": ("undefended", "adversarial", "GR(y)"),
    "epsilon": 0.4 if dataset == "mnist" else 0.5,
  }
  fgsm, tgsm = {"name": "fgsm", "label": "FGSM"}, {"name": "tgsm", "label": "TGSM y+1"}
  grid = {"models": SHOWN, "epsilons": EPSILONS, "examples": examples}
  certainty = {"name": "gradient", "score": "uniform_cross_entropy"}
  targeted = ("undefended", "GR(y)") if smoke else ("undefended", "distilled", "GR(1/K)", "GR(y)")
  led = targeted if smoke else ("undefended", "distilled", "adversarial", "GR(y)")
  return {
    "lambda": {
      "kind": "selection",
      "families": {
        family: {f"{family} {code}": code * CODE_TO_PER_EXAMPLE for code in codes}
        for family, codes in families.items()
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
      "models": tuple(f"GR(y) {code}" for code in families["GR(y)"]),
      "attribution": {**certainty, "label": "Gradient of H(1/K, f(x))"},
    },
    "readability": {
      "kind": "map_quality",
      "models": SHOWN,
      "attribution": {**certainty, "label": "Gradient of H(1/K, f(x))"},
      "examples": examples,
    },
    "JSMA": {
      "kind": "targeted",
      "models": targeted,
      "attack": {"name": "jsma", "label": "JSMA", "gamma": 0.1 if smoke else 0.25},
      "per_class": 1 if smoke else 5,
    },
    "iterated TGSM": {
      "kind": "targeted",
      "models": led,
      "attack": {"name": "tgsm", "label": "iterated TGSM", "epsilon": 0.1, "steps": 15},
      "per_class": 1 if smoke else 5,
      "frames": (0, 1, 2, 5, 10, 15),
    },
    # After the paper's 15 steps every network reads every target; the claim needs an earlier look.
    "short TGSM": {
      "kind": "targeted",
      "models": led,
      "attack": {"name": "tgsm", "label": "iterated TGSM, 5 steps", "epsilon": 0.1, "steps": 5},
      "per_class": 1 if smoke else 5,
    },
  }


def claims(dataset: str, scale: str) -> dict:
  """The paper's claims, C1 to C21 of our reading of it, and what our own run should reach."""

  def claim(
    statement: str,
    source: str,
    paper: str | None,
    relation: str,
    threshold: float,
    /,
    **measure: object,
  ) -> dict:
    return {
      "statement": statement,
      "source": source,
      **({} if paper is None else {"paper_value": paper}),
      "measure": measure,
      "relation": relation,
      "threshold": threshold,
    }

  def figure(number: str) -> str:
    return f"{PAPER}, {number}"

  mnist, svhn = dataset == "mnist", dataset == "svhn"
  # A smoke test has only the first of the small run's lambdas.
  paper_y = lambdas(dataset, scale)["GR(y)"][0] if scale == "smoke" else PAPER_LAMBDAS[dataset][0]
  elsewhere = "" if svhn else " (SVHN in the paper)"
  on_mnist = "" if mnist else " (MNIST in the paper)"
  clean = 0.985 if mnist else 0.9
  fgsm = {"study": "FGSM"}
  gap, of = "transfer_accuracy_gap", "transfer_accuracy"
  highest, lowest = "highest_transfer_accuracy", "lowest_transfer_accuracy"
  every = {
    **{
      f"accurate {model}": claim(
        f"The {model} network classifies at least {clean} of the clean test images.",
        "this experiment", None, ">=", clean, name="accuracy", study="accuracy", model=model,
      )
      for model in ("undefended", "distilled", "adversarial")
    },
    **{
      f"C1 {source}": claim(
        f"C1: of FGSM examples made for the {source} network, at epsilon 0.4, GR(y) classifies at "
        "least 0.2 more than the undefended network.",
        figure("figure 1"), paper, ">=", 0.2,
        name=gap, **fgsm, source=source, target="GR(y)", baseline="undefended", epsilon=0.4,
      )
      for source, paper in {
        "mnist": {"undefended": "0.62 − 0.09", "adversarial": "0.65 − 0.39"},
        "notmnist": {"undefended": "0.87 − 0.07", "adversarial": "0.89 − 0.58"},
        "svhn": {"undefended": "0.75 − 0.56", "adversarial": "0.75 − 0.72"},
      }[dataset].items()
    },
    "C2 small": claim(
      "C2: of FGSM examples made for the undefended network, at epsilon 0.2, the adversarially "
      f"trained network classifies at least as many as GR(y){on_mnist}.",
      figure("figure 1"), "0.97 against 0.95", ">=", 0.0,
      name=gap, **fgsm, source="undefended", target="adversarial", baseline="GR(y)", epsilon=0.2,
    ),
    **{
      f"C2 {where}": claim(
        f"C2: at epsilon {epsilon}, GR(y) classifies more of them than the adversarially trained "
        f"network{on_mnist}.",
        figure("figure 1"), paper, ">=", 0.0,
        name=gap, **fgsm, source="undefended", target="GR(y)", baseline="adversarial",
        epsilon=epsilon,
      )
      for where, epsilon, paper in (
        ("large", 0.4, "0.62 against 0.53"),
        ("larger", 0.5, "0.40 against 0.23"),
      )
    },
    **{
      f"C3 {source}": claim(
        "C3: at epsilon 0.7, GR(y) classifies at least as many FGSM examples made for the "
        f"{source} network as the adversarially trained network{elsewhere}.",
        figure("figure 1"), paper, ">=", 0.0,
        name=gap, **fgsm, source=source, target="GR(y)", baseline="adversarial", epsilon=0.7,
      )
      for source, paper in (
        ("undefended", "0.58 against 0.54"),
        ("distilled", "0.64 against 0.57"),
        ("adversarial", "0.53 against 0.51"),
      )
    },
    "C3b": claim(
      "C3b: of TGSM examples made for the undefended network, at epsilon 0.7, the adversarially "
      f"trained network classifies at least as many as GR(y){elsewhere}.",
      figure("figure 3"), "0.72 against 0.65", ">=", 0.0, name=gap, study="TGSM",
      source="undefended", target="adversarial", baseline="GR(y)", epsilon=0.7,
    ),
    "C4 GR, two tenths": claim(
      f"C4: GR(y) is not robust to FGSM on itself: at most 0.70 at epsilon 0.2{on_mnist}.",
      figure("figure 1"), "0.66", "<=", 0.7,
      name=of, **fgsm, source="GR(y)", target="GR(y)", epsilon=0.2,
    ),
    "C4 GR, three tenths": claim(
      f"C4: and at most 0.30 at epsilon 0.3{on_mnist}.",
      figure("figure 1"), "0.25", "<=", 0.3,
      name=of, **fgsm, source="GR(y)", target="GR(y)", epsilon=0.3,
    ),
    "C4 adversarial": claim(
      "C4: the adversarially trained network keeps at least 0.97 under FGSM on itself at epsilon "
      f"0.2{on_mnist}.",
      figure("figure 1"), "0.99", ">=", 0.97,
      name=of, **fgsm, source="adversarial", target="adversarial", epsilon=0.2,
    ),
    "C5": claim(
      "C5: FGSM examples made for GR(y) at epsilon 0.5 fool every network: at most 0.20.",
      figure("figure 1"), "at most 0.17", "<=", 0.2,
      name=highest, **fgsm, source="GR(y)", epsilon=0.5,
    ),
    "C6 accuracy": claim(
      "C6: FGSM examples made for the distilled network fool nobody, at any epsilon up to 0.7.",
      figure("figure 1"), {"mnist": "0.98", "notmnist": "0.93", "svhn": "0.47, not so"}[dataset],
      ">=", 0.95 if mnist else 0.9, name=lowest, **fgsm, source="distilled", epsilon=0.7,
    ),
    "C6 zeros": claim(
      "C6: at least three quarters of the distilled network's input gradients are exactly zero.",
      figure("figure 4"), "not so" if svhn else "whole box on the floor", ">=", 0.75,
      name="gradient_is_zero", study="gradients", model="distilled",
    ),
    "C7": claim(
      f"C7: TGSM does fool the distilled network: at most 0.10 at epsilon 0.2{on_mnist}.",
      figure("figure 3"), "0.07", "<=", 0.1,
      name=of, study="TGSM", source="distilled", target="distilled", epsilon=0.2,
    ),
    "C8": claim(
      "C8: of FGSM examples made for the adversarially trained network, at epsilon 0.3, the "
      f"distilled network classifies fewer than the undefended one{on_mnist}.",
      figure("figure 1"), "0.24 against 0.72", "<=", 0.0, name=gap, **fgsm,
      source="adversarial", target="distilled", baseline="undefended", epsilon=0.3,
    ),
    **{
      f"C9 {baseline}": claim(
        "C9: both defences together classify at least as many FGSM examples made for the "
        f"undefended network, at epsilon 0.5, as {baseline} alone{elsewhere}.",
        figure("figure 2"), paper, ">=", 0.0, name=gap, **fgsm,
        source="undefended", target="GR(y) + adversarial", baseline=baseline, epsilon=0.5,
      )
      for baseline, paper in (("GR(y)", "0.83 against 0.69"), ("adversarial", "0.83 against 0.67"))
    },
    "C10": claim(
      "C10: both together stand FGSM on themselves better at epsilon 0.4 than at 0.1, a sign of "
      f"label leaking{elsewhere}.",
      figure("figure 2"), "0.88 against 0.86", ">=", 0.0, name="transfer_accuracy_change", **fgsm,
      source="GR(y) + adversarial", target="GR(y) + adversarial", epsilon=0.4, smaller_epsilon=0.1,
    ),
    **{
      f"C11 {family}": claim(
        f"C11: {family} keeps at least 97 % of the undefended network's clean accuracy.",
        figure("section Experiments"), paper, ">=", 0.97,
        name="accuracy_kept", study="accuracy", model=family, baseline="undefended",
      )
      for family, paper in (
        ("GR(y)", {"mnist": "1.001", "notmnist": "0.997", "svhn": "0.953"}[dataset]),
        ("GR(1/K)", {"mnist": "1.001", "notmnist": "1.002", "svhn": "0.996"}[dataset]),
      )
    },
    **{
      f"C12 {model} over {baseline}, {target}": claim(
        f"C12: median length of the gradient of the loss of {target}: {model} over {baseline}, "
        f"log10 of the ratio at least {threshold}{on_mnist}.",
        figure("figure 4"), paper, ">=", threshold, name="gradient_log_ratio", study="gradients",
        model=model, baseline=baseline, target=target,
      )
      for model, baseline, target, paper, threshold in (
        ("GR(y)", "adversarial", "y", "3", 0.0),
        ("adversarial", "undefended", "y", "0.8", 0.0),
        ("undefended", "distilled", "y", "at least 9, distilled on the floor", 0.0),
        ("distilled", "adversarial", "y + 1", "1.0", 0.0),
        ("adversarial", "undefended", "y + 1", "0.2", 0.0),
        ("undefended", "GR(y)", "y + 1", "0.7", 0.0),
        ("distilled", "GR(y)", "y + 1", "2 (a ratio of about 90)", 1.5),
      )
    },
    "C13 GR": claim(
      "C13: log-probabilities of classes that are not predicted are nearer to 0 for GR(y) than for "
      "the undefended network.",
      figure("figure 4"), "−4 against −16", ">=", 0.0, name="other_log_probability_gap",
      study="gradients", model="GR(y)", baseline="undefended",
    ),
    "C13 distilled": claim(
      "C13: for the distilled network they are below −300.",
      figure("figure 4"), "−380", "<=", -300.0,
      name="other_log_probability", study="gradients", model="distilled",
    ),
    "C14": claim(
      "C14: at its best lambda GR(y) stands black-box FGSM at epsilon 0.2 better than the "
      f"undefended network, by at least 0.1{elsewhere}.",
      figure("figure 9"), "0.74 − 0.455", ">=", 0.1,
      name="best_of_family", study="lambda", family="GR(y)",
    ),
    "C15": claim(
      f"C15: GR(y)'s best accuracy there is above GR(1/K)'s{elsewhere}.",
      figure("figure 9"), "0.74 against 0.675", ">=", 0.0,
      name="best_of_family", study="lambda", family="GR(y)", baseline="GR(1/K)",
    ),
    "C15 entropy": claim(
      f"C15: penalising the entropy's gradient brings no robustness: at most 0.05 more{elsewhere}.",
      figure("figure 9"), "about 0", "<=", 0.05,
      name="best_of_family", study="lambda", family="GR(entropy)",
    ),
    "C15 distilled": claim(
      "C15: GR with a distilled network's labels is within 0.05 of GR(y), or better"
      f"{elsewhere}.",
      figure("figure 9"), "within 0.02", ">=", -0.05,
      name="best_of_family", study="lambda", family="GR(distilled)", baseline="GR(y)",
    ),
    "C16 undefended": claim(
      "C16: while the undefended network learns, its accuracy under black-box FGSM at epsilon 0.2 "
      "falls from its peak by at least 0.1.",
      figure("figure 8 and the authors' notebook"), "0.79 to 0.55 (MNIST)", "<=", -0.1,
      name="probe_change", model="undefended", metric="probe_fgsm_accuracy",
    ),
    "C16 GR": claim(
      f"C16: that of GR(y) at the paper's lambda ({paper_y}) stays within 0.05 of its peak.",
      figure("figure 8 and the authors' notebook"), "0.87 to 0.92 (MNIST)", ">=", -0.05,
      name="probe_change", model=f"GR(y) {paper_y}", metric="probe_fgsm_accuracy",
    ),
    "C17 adversarial": claim(
      "C17: of the FGSM examples made for the adversarially trained network that fool it or GR(y), "
      f"few fool both: at most 0.25{on_mnist}.",
      figure("figure 10"), "743 of 4,787: 0.16", "<=", 0.25, name="jointly_fooled", **fgsm,
      source="adversarial", targets=("adversarial", "GR(y)"), epsilon=0.4 if mnist else 0.5,
    ),
    "C17 GR": claim(
      f"C17: of those made for GR(y), most fool both: at least 0.6{on_mnist}.",
      figure("figure 10"), "6,331 of 8,905: 0.71", ">=", 0.6, name="jointly_fooled", **fgsm,
      source="GR(y)", targets=("adversarial", "GR(y)"), epsilon=0.4 if mnist else 0.5,
    ),
    **{
      f"C18 {study}": claim(
        f"C18: images that {how} makes for GR(y) look like their target to other networks more "
        "often than those made for the undefended network.",
        figure(number), "by eye", ">=", 0.0,
        name="target_rate_gap", study=study, model="GR(y)", baseline="undefended",
      )
      for study, how, number in (
        ("JSMA", "JSMA", "figure 5"),
        ("short TGSM", "iterated TGSM in 5 steps", "figure 11"),
      )
    },
    "C18 variation": claim(
      "C18: GR(y)'s input gradients vary less from pixel to pixel than the undefended network's "
      "(total variation over mean size).",
      figure("figure 6"), "by eye", "<=", 0.0, name="map_quality_gap", study="readability",
      model="GR(y)", baseline="undefended", number="total_variation",
    ),
    "C18 alignment": claim(
      "C18: and they are more like the image (cosine).",
      figure("figure 6"), "by eye", ">=", 0.0, name="map_quality_gap", study="readability",
      model="GR(y)", baseline="undefended", number="alignment",
    ),
    "C19": {
      "statement": (
        "C19: people are fooled by GR(1/K)'s examples more often than by the undefended network's, "
        "and find its mistakes more reasonable."
      ),
      "source": figure("table 1"),
      "paper_value": "16.4 % against 2.0 %; 41.8 % against 26.0 %",
      "needs": "votes",
    },
    "C20": {
      "statement": (
        "C20: a step with the penalty takes a little over twice as long as a plain one, an "
        "adversarial one about three times (benchmarks/step_costs.py times it on a quiet machine)."
      ),
      "source": figure("section Experiments"),
      "paper_value": "slightly above 2; 3",
      "needs": "a benchmark",
    },
    "C21": claim(
      "C21: adversarial training is no implicit gradient penalty: its gradients of the loss of "
      "y + 1 are at most ten times shorter than the undefended network's (log10 of the ratio).",
      figure("figures 4 and 8"), "0.2", ">=", -1.0, name="gradient_log_ratio", study="gradients",
      model="adversarial", baseline="undefended", target="y + 1",
    ),
  }  # fmt: skip
  families = lambdas(dataset, scale)
  return {
    name: entry
    for name, entry in every.items()
    if entry.get("measure", {}).get("family", "GR(y)") in families
  }
