"""Ross & Doshi-Velez 2018: does penalising input gradients make networks robust, and readable?

Undefended networks, defensive distillation, adversarial training and gradient regularisation, the
last with its lambda chosen on validation images, under every attack of the paper and under
AutoAttack, which it did not have. What the paper claims stands in ross2018_claims.toml, what it
measured in ross2018_published.csv.

  python -m robust_saliency.main --config=ross2018:mnist,small --workdir=runs/ross

Words after the colon, in any order: a data set, a scale, and what makes the run shorter or longer.

  mnist      needs `python -m robust_saliency.data prepare mnist`.
  notmnist   needs an archive of notMNIST (see `python -m robust_saliency.data`). Of the 10,000
             images 1,000 are held out for validation; with an archive of the paper's 220,000,
             give --config.dataset.validation=10000 too.
  svhn       needs `python -m robust_saliency.data prepare svhn`; 2 GB of memory.

  small      the default: 800 steps a network (1,600 of the distilled one and its teacher), 2,000
             images attacked; the networks of `main` with five seeds on MNIST and three on notMNIST,
             the others and the choice of lambda with the first. Two hours on two idle CPU cores, 90
             minutes with `main`. Expect 0.99 on MNIST and the paper's ordering of transfer attacks.
  paper      the paper's own training: 15,000 steps of 256 images, at the authors' lambdas, and all
             test images; most of a day on two CPU cores. Stopped runs resume where they were.
  full       that with the choice among thirteen lambdas, on an accelerator as one program;
             days on two CPU cores.
  smoke      a few steps of everything, on scikit-learn's digits: a minute, for tests.

  main       only the networks of the paper's main comparison: undefended, distilled, adversarially
             trained, GR(y), and the black-box source. Claims about other networks are left out.
  masking    these without adversarial training, which takes longest: shows where gradients vanish.
  sweep      the choice among all lambdas of the paper's figure 9, eleven decades.
  5000       or another number: that many steps a network.

From three seeds on a claim is supported or refuted; of fewer it holds or fails in this run: where
there is one seed, `--config.seeds="(0, 1, 2)"` takes more. Those of a seed share their data order.

A lambda is the weight of the mean squared gradient norm per example, as in the paper's equation 6.
Networks are named by the lambda of the paper's figures and code, which is 512 times as large
(`robust_saliency/objectives/input_gradient.py` says why).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict

from robust_saliency import configs

CODE_TO_PER_EXAMPLE = 1 / 512  # at the paper's batch of 256
GRID = (100, 178, 316, 562, 1000, 1778, 3162, 5623, 10000, 17783, 31623, 56234, 100000)
CERTAINTY_GRID = (1, 1.78, 3.16, 5.62, 10, 17.8, 31.6, 56.2, 100, 178, 316, 562, 1000)
FIGURE_9 = tuple(float(f"{10 ** (half / 2):.5g}") for half in range(-8, 15))
# GR(y)'s and GR(1/K)'s, as the authors' notebooks name their files; the paper prints none.
PAPER_LAMBDAS = {"mnist": (56234, 1000), "notmnist": (562, 178), "svhn": (10000, 1000)}
SMALL_GRIDS = {  # what the small run chooses among
  "mnist": ((1778, 5623, 17783, 56234), (100, 316, 1000)),
  "notmnist": ((562, 1778, 5623), (56, 178, 562)),
  "svhn": ((1000, 3162, 10000), (32, 316, 1000)),
}
# Family -> the term whose weight is its lambda, and the term's other settings.
TERMS: dict[str, tuple[str, dict[str, float]]] = {
  "GR(y)": ("input_gradient_penalty", {}),
  "GR(1/K)": ("certainty_penalty", {}),
  "GR(distilled)": ("distilled_label_penalty", {"temperature": 50.0}),
  "GR(entropy)": ("entropy_penalty", {}),
}
Families = Mapping[str, Sequence[float]]  # family -> lambdas, as the names have them

EPSILONS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
ATTACKED_TO_A_TARGET = ("undefended", "distilled", "adversarial", "GR(1/K)", "GR(y)")
SHOWN = (*ATTACKED_TO_A_TARGET, "GR(y) + adversarial")
TENSORFLOW_1 = {"eps": 1e-4, "epsilon_hat": True}  # the authors' Adam
# The studies that claims rest on, of several seeds; some are also shown of all networks.
FIRST_SEED_TOO = ("accuracy", "FGSM", "TGSM")
EACH_SEED = (*FIRST_SEED_TOO, "gradients", "readability", "JSMA", "iterated TGSM", "short TGSM")
SEEDS = {"mnist": (0, 1, 2, 3, 4), "notmnist": (0, 1, 2), "svhn": (0,)}  # of the small run
# The paper's human study: 4 epochs at 1e-3. Its lambda, which it does not say, is the notebooks'.
SHORTLY_TRAINED = [f"{n} (4 epochs)" for n in ("undefended", "teacher", "distilled", "GR(1/K)")]
MASKING = ("source", "undefended", "teacher", "distilled", "GR(y)")
PARTS = {"main": (*MASKING, "adversarial"), "masking": MASKING}

SUMMARY = (
  "A network whose loss changes little when an image's pixels do should be hard to fool and easy "
  "to read. Networks are trained plainly, by defensive distillation, on FGSM's adversarial "
  "examples, and with a penalty on the squared gradient norm of the loss with respect to the "
  "pixels: of the true class's loss, GR(y), or of all classes' alike, GR(1/K). Each is attacked "
  "through its own gradients and with examples crafted on the others; AutoAttack shows how much "
  "of that robustness is left. Claims are judged at this run's scale, which is not always the "
  "paper's. The numbers behind GR(y) and GR(1/K) are lambdas as the paper's figures give them; "
  "per example, as lambdas are given elsewhere here, they are 512 times as small."
)

NOT_MEASURED = "The paper's third data set, SVHN, is not measured here: its data could not be had."


def get_config(variant: str = "mnist,small") -> ConfigDict:
  """The experiment; `variant` holds words between commas, see above."""
  words = configs.variant(
    variant,
    dataset=("mnist", "notmnist", "svhn"),
    scale=("small", "paper", "full", "smoke"),
    part=(None, *PARTS),
    sweep=bool,
    steps=int,
  )
  dataset, scale, steps = words["dataset"], words["scale"], words["steps"]
  long, smoke = scale in ("paper", "full"), scale == "smoke"
  families = lambdas(dataset, scale, sweep=words["sweep"])
  seeds = (0, 1) if smoke else SEEDS[dataset] if scale == "small" else (0,)
  networks = models(dataset, scale, families, steps)
  parts = {"models": networks, "studies": studies(dataset, scale, families)}
  if words["part"] is not None:
    parts = configs.only(parts, PARTS[words["part"]])
  if len(seeds) > 1:
    # GR(y), too, has all seeds, once the first has chosen its lambda.
    parts = configs.first_seed_of_others(parts, PARTS["main"], EACH_SEED, shown=FIRST_SEED_TOO)
  held_out = 100 if smoke else 5000 if dataset == "mnist" and long else 1000
  return configs.ordered(
    {
      "title": f"Ross & Doshi-Velez 2018 on {'digits' if smoke else dataset}",
      "summary": " ".join([SUMMARY, *([] if dataset == "svhn" else [NOT_MEASURED])]),
      "scale": scale if steps is None else f"{scale}, {steps:,} steps",
      "dataset": {
        "name": "digits" if smoke else dataset,
        # SVHN comes with its own. The authors left MNIST's 5,000 out of training.
        **({} if dataset == "svhn" and not smoke else {"validation": held_out}),
      },
      "seeds": seeds,
      **parts,
      "claims": "ross2018_claims.toml",
      "published": "ross2018_published.csv",
    }
  )


def lambdas(dataset: str, scale: str, *, sweep: bool = False) -> Families:
  """Family -> its candidates' lambdas, in the paper's numbers."""
  small_y, small_certainty = SMALL_GRIDS[dataset]
  middle = (small_y[len(small_y) // 2],)
  of_all: dict[str, Sequence[Sequence[float]]] = {
    "small": (small_y, small_certainty, middle, middle),
    "paper": [(one,) for one in PAPER_LAMBDAS[dataset]],
    "full": (GRID, CERTAINTY_GRID, GRID[::4], GRID[::4]),
    "smoke": (small_y[:2], small_certainty[:1], small_y[1:2], small_y[1:2]),
  }
  if sweep:
    of_y = sorted({*FIGURE_9, PAPER_LAMBDAS[dataset][0]})
    return {**dict.fromkeys(TERMS, FIGURE_9), "GR(y)": of_y}
  return dict(zip(TERMS, of_all[scale], strict=False))


def penalties(family: str, codes: Sequence[float]) -> dict[str, dict[str, Any]]:
  """Network -> the term that regularises it, of one family."""
  term, settings = TERMS[family]
  return configs.sweep(family, term, codes, unit=CODE_TO_PER_EXAMPLE, **settings)


def models(dataset: str, scale: str, families: Families, steps: int | None) -> dict:
  """Every network by name; `steps` are those of each, None for the scale's."""
  long, smoke = scale in ("paper", "full"), scale == "smoke"
  architecture: dict = {"name": "digits" if smoke else "ross"}
  if dataset == "svhn" and not smoke:
    architecture["contrast_mean"] = "batch" if long else "image"
  recipe: dict = {
    "architecture": architecture,
    "optimizer": {"name": "adam", "learning_rate": 2e-4 if long else 1e-3, **TENSORFLOW_1},
    "batch_size": 256 if long else 64 if smoke else 128,
    "steps": steps or (15000 if long else 20 if smoke else 800),
    "shuffle": not long,  # the authors never shuffle
    "log_every": 20,
    "checkpoint_every": 500 if long else 400,
  }
  every, probed = (10, 100) if smoke else (100, 512)
  black_box = {"source": "source", "epsilon": 0.2}
  probe: dict = {"probe": {"every": every, "examples": probed, **black_box, "white_box": 0.3}}
  plain = {"cross_entropy": {"weight": 1.0}}
  at_50 = {"cross_entropy": {"temperature": 50.0}}
  distilled = {"distillation": {"temperature": 50.0}}
  half = {"cross_entropy": {"weight": 0.5}}
  fgsm: dict = {"attack": {"name": "fgsm", "epsilon": 0.3}, "attack_labels": "predicted"}
  half_adversarial = {"adversarial": {"weight": 0.5, **fgsm, "attack_mode": "training"}}
  # At temperature 50 the gradients are 50 times as small, and Adam's epsilon slows them down.
  longer = {} if long or smoke or steps else {"steps": 1600}
  # The authors train the teacher for 10,000 steps at most.
  taught = {"steps": min(steps or 15000, 10000)} if long else longer

  def regularised(family: str, **more: Any) -> dict:
    return {
      name: configs.model({**plain, **penalty}, recipe, **more)
      for name, penalty in penalties(family, families.get(family, ())).items()
    }

  # The paper does not say its lambda of both defences; here it is GR(y)'s. The authors' code halves
  # them as a whole.
  term, _ = TERMS["GR(y)"]
  of_y = {"choices": {term: "GR(y)"}, **probe}
  networks = {
    "source": configs.model(plain, recipe, seed_offset=1000),
    "undefended": configs.model(plain, recipe, **probe),
    "teacher": configs.model(at_50, recipe, **taught),
    "distilled": configs.model(distilled, recipe, teacher="teacher", **longer, **probe),
    "adversarial": configs.model({**half, **half_adversarial}, recipe, **probe),
    **({} if long else {"GR(y)": configs.model({**plain, term: {"weight": 1.0}}, recipe, **of_y)}),
    **regularised("GR(y)", **probe),
    **regularised("GR(1/K)", **probe),
    "GR(y) + adversarial": configs.model(
      {**half, term: {"weight": 0.5}, **half_adversarial}, recipe, **of_y
    ),
    **regularised("GR(distilled)", teacher="teacher"),
    **regularised("GR(entropy)"),
  }
  if not long:
    return networks
  shortly: dict = {"epochs": 4, "learning_rate": 1e-3}
  undefended_4, teacher_4, distilled_4, certain_4 = SHORTLY_TRAINED
  (certainty,) = penalties("GR(1/K)", (PAPER_LAMBDAS[dataset][1],)).values()
  return {
    **networks,
    undefended_4: configs.model(plain, recipe, **shortly),
    teacher_4: configs.model(at_50, recipe, **shortly),
    distilled_4: configs.model(distilled, recipe, teacher=teacher_4, **shortly),
    certain_4: configs.model({**plain, **certainty}, recipe, **shortly),
  }


def studies(dataset: str, scale: str, families: Families) -> dict:
  """Every measurement by name."""
  long, smoke = scale in ("paper", "full"), scale == "smoke"
  examples = {"smoke": 20, "small": 2000, "paper": None, "full": None}[scale]
  candidates = {
    family: {name: term["weight"] for name, penalty in named.items() for term in penalty.values()}
    for family, named in ((family, penalties(family, codes)) for family, codes in families.items())
  }
  of_y = tuple(candidates["GR(y)"])[:: 2 if len(families["GR(y)"]) > 8 else 1]  # not all of many
  grown = {family: candidates[family] for family in ("GR(y)", "GR(1/K)")}
  papers = [code * CODE_TO_PER_EXAMPLE for code in PAPER_LAMBDAS[dataset]]
  fgsm, tgsm = {"name": "fgsm", "label": "FGSM"}, {"name": "tgsm", "label": "TGSM y+1"}
  black_box = {"source": "source", "attack": fgsm, "epsilon": 0.2}
  jsma = {"name": "jsma", "label": "JSMA", "gamma": 0.1 if smoke else 0.25}
  iterated = {"name": "tgsm", "label": "iterated TGSM", "epsilon": 0.1, "steps": 15}
  short = {**iterated, "label": "iterated TGSM, 5 steps", "steps": 5}
  shortened = {"steps": 2, "queries": 10} if smoke else {}
  autoattack = {"name": "autoattack", "label": "AutoAttack, standard", **shortened}
  score, label = "uniform_cross_entropy", "Gradient of H(1/K, f(x))"
  certainty = {"name": "gradient", "score": score, "label": label}
  signed = {**certainty, "label": f"{label}, red: brighter makes the network more certain"}
  together = 0.4 if dataset == "mnist" else 0.5  # where the authors count who is fooled together
  overlap = {"models": ("undefended", "adversarial", "GR(y)"), "epsilon": together}
  shown = {"models": SHOWN, "examples": examples}
  grid = {"overlap": overlap, "epsilons": EPSILONS, **shown}
  # Networks are compared by readers that are neither of them.
  readers = ("source", "distilled", "adversarial")
  every_target = {"models": ATTACKED_TO_A_TARGET, "per_class": 1 if smoke else 5}
  targeted: dict = {"kind": "targeted", "readers": readers, **every_target}
  of_jsma = ("undefended", *(() if smoke else ("distilled", "GR(1/K)")), "GR(y)")
  undefended_4, _, distilled_4, certain_4 = SHORTLY_TRAINED
  aimed = iterated if dataset == "svhn" else jsma
  people = (undefended_4, distilled_4, certain_4)
  for_people = {"models": people, "readers": None, "attack": aimed}
  return {
    "lambda": {
      "kind": "selection",
      "families": candidates,
      "reference": "undefended",
      **black_box,
      "keep": 0.97,
      # What the images cannot tell apart is no reason to leave the paper's lambda.
      "standard_errors": 1.0,
      "preferred": dict(zip(TERMS, papers, strict=False)),
    },
    "response": {"kind": "response", "families": grown, **black_box, "examples": examples},
    "accuracy": {"kind": "accuracy", "models": SHOWN},
    "FGSM": {"kind": "transfer", "attack": fgsm, **grid},
    "TGSM": {"kind": "transfer", "attack": tgsm, **grid},
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
      "attacks": {"fgsm": fgsm, "autoattack": autoattack},
      "epsilon": 0.1,
      "examples": 20 if smoke else 1000 if scale == "full" else 100,
    },
    "gradients": {"kind": "gradients", **shown},
    "input gradients": {"kind": "saliency", "models": SHOWN, "attribution": signed},
    "input gradients by lambda": {"kind": "saliency", "models": of_y, "attribution": certainty},
    "readability": {"kind": "map_quality", "attribution": certainty, **shown},
    "JSMA": {**targeted, "attack": jsma, "models": of_jsma},
    "iterated TGSM": {**targeted, "attack": iterated, "frames": (0, 1, 2, 5, 10, 15)},
    # Where the paper's 15 steps lead nearly all of GR(y)'s images to their target.
    "short TGSM": {**targeted, "attack": short},
    **({"images for people": {**targeted, **for_people}} if long else {}),
  }
