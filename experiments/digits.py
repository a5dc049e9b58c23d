"""Robustness and interpretable gradients on scikit-learn's digits, or on MNIST.

Four networks of one architecture: trained plainly, on PGD's adversarial examples, with an
input-gradient penalty, and with both. They are attacked, by AutoAttack too, their adversarial
examples are evaluated on one another, and their gradients are drawn and compared with the images.
What is expected is in digits_claims.toml.

  python -m robust_saliency.main --config=digits --workdir=runs/digits

  digits            1,297 real 8x8 digits that come with scikit-learn, three seeds: about two
                    minutes on two CPU cores. Expect 0.98 of the test digits right for the plain
                    network, and at epsilon 0.2 over 0.25 more for the PGD-trained one.
  digits:mnist      the same on MNIST (60,000 28x28 images) with the network of Ross &
                    Doshi-Velez, one seed: a few minutes a network on two CPU cores. Needs MNIST
                    (TFDS_DATA_DIR, or `python -m robust_saliency.data prepare mnist`). Expect
                    0.99.
  digits:smoke      one epoch of everything on the digits: seconds, for tests.
"""

from typing import Any

from ml_collections import ConfigDict

from robust_saliency import configs

EPSILON = 0.2

SUMMARY = (
  "Do networks that resist adversarial examples have gradients that people can read? Four "
  "networks of one architecture are trained on the same images: plainly (standard), on the "
  "adversarial examples of projected gradient descent (pgd), with a penalty on the gradient of "
  "the loss with respect to the pixels (gradient), and with both. The report measures how much "
  "accuracy each keeps under attack, whether examples crafted on one also fool another, and how "
  "much each one's gradient looks like the image."
)


def get_config(variant: str = "digits") -> ConfigDict:
  """The experiment; `variant` is one of "digits", "mnist", "smoke"."""
  scale = configs.variant(variant, scale=("digits", "mnist", "smoke"))["scale"]
  mnist, smoke = scale == "mnist", scale == "smoke"
  training_attack = {
    "name": "pgd",
    "epsilon": EPSILON,
    "step_size": 0.05,
    "steps": 7,
    "keep": "last",
    "unroll": False,
  }
  cross_entropy = {"weight": 1.0}
  penalty = {"weight": 0.3, "scaling": "per_example"}
  adversarial = {"weight": 1.0, "attack": training_attack, "attack_mode": "evaluation"}

  recipe = {
    "architecture": {"name": "ross" if mnist else "digits"},
    "optimizer": {"name": "adam", "learning_rate": 1e-3 if mnist else 2e-3},
    "batch_size": 128 if mnist else 64,
    **({"steps": 600} if mnist else {"epochs": 1 if smoke else 30}),
    "log_every": 20,
    "checkpoint_every": 500,
  }
  epsilons = {
    "digits": (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4),
    "mnist": (0.0, 0.1, 0.2, 0.3, 0.4),
    "smoke": (0.0, 0.1, 0.2),
  }[scale]
  examples = 50 if smoke else 1000 if mnist else 500
  gradient = {"name": "gradient", "label": "Gradient of the true class's logit"}
  strongest: dict[str, Any] = {"name": "autoattack", "label": "AutoAttack"}
  if smoke:
    strongest = {"name": "pgd", "label": "PGD-5", "steps": 5}
  return configs.ordered(
    {
      "title": f"Robustness and gradients on {'MNIST' if mnist else 'digits'}",
      "summary": SUMMARY,
      "scale": scale,
      "dataset": {"name": "mnist" if mnist else "digits"},
      "seeds": (0,) if smoke or mnist else (0, 1, 2),
      "models": {
        "standard": configs.model({"cross_entropy": cross_entropy}, recipe),
        "pgd": configs.model({"adversarial": adversarial}, recipe),
        "gradient": configs.model(
          {"cross_entropy": cross_entropy, "input_gradient_penalty": penalty}, recipe
        ),
        "both": configs.model(
          {
            "cross_entropy": {"weight": 0.5},
            "input_gradient_penalty": penalty,
            "adversarial": {**adversarial, "weight": 0.5},
          },
          recipe,
        ),
      },
      "studies": {
        "accuracy": {"kind": "accuracy"},
        "robustness": {
          "kind": "robustness",
          "attacks": {
            "fgsm": {"name": "fgsm", "label": "FGSM"},
            "pgd40": {"name": "pgd", "label": "PGD-40", "steps": 40, "unroll": False},
          },
          "epsilons": epsilons,
          "examples": examples,
        },
        "transfer": {
          "kind": "transfer",
          "attack": {"name": "pgd", "label": "PGD-40", "steps": 40, "unroll": False},
          "epsilons": (EPSILON,),
          "examples": examples,
        },
        "evaluation": {
          "kind": "evaluation",
          "attacks": {"strongest": strongest},
          "epsilon": EPSILON,
          "examples": 50 if smoke else 200,
        },
        "gradients": {"kind": "gradients", "examples": examples},
        "readability": {"kind": "map_quality", "attribution": gradient, "examples": examples},
        "saliency": {"kind": "saliency", "attribution": gradient},
      },
      "claims": "digits_claims.toml",
    }
  )
