"""The experiment that `test_soak.py` kills: every kind of stage, in little."""

from ml_collections import ConfigDict

from robust_saliency.configs import ordered

ATTACK = {"name": "pgd", "epsilon": 0.2, "steps": 2, "unroll": False}


def get_config(steps: str = "60") -> ConfigDict:
  """Two networks, one of them with dropout's randomness and batch norm's averages."""

  def model(objective: dict, **architecture) -> dict:
    return {
      "architecture": {"name": "digits", **architecture},
      "objective": objective,
      "optimizer": {"name": "adam", "learning_rate": 0.002},
      "batch_size": 64,
      "steps": int(steps),
      "log_every": 7,
      "checkpoint_every": 10,
    }

  return ordered(
    {
      "title": "An experiment that is killed",
      "dataset": {"name": "digits"},
      "seeds": (0, 1),
      "models": {
        "standard": model({"cross_entropy": {}}, batch_norm=True),
        "pgd": model({"adversarial": {"attack": ATTACK}}),
      },
      "studies": {
        "accuracy": {"kind": "accuracy"},
        "robustness": {
          "kind": "robustness",
          "attacks": {"pgd": {"name": "pgd", "label": "PGD", "steps": 5, "unroll": False}},
          "epsilons": (0.0, 0.1, 0.2),
          "examples": 200,
        },
        "transfer": {
          "kind": "transfer",
          "attack": {"name": "fgsm", "label": "FGSM"},
          "epsilons": (0.2,),
          "examples": 200,
        },
        "maps": {
          "kind": "target_maps",
          "teacher": "pgd",
          "attribution": {"name": "smoothgrad", "samples": 5, "include_clean": True, "clip": True},
          "batch_size": 50,
        },
        "saliency": {"kind": "saliency", "attribution": {"name": "gradient", "label": "gradient"}},
      },
      "claims": (
        {
          "id": "learned",
          "says": "The standard network has learned something.",
          "about": ("ours",),
          "of": "accuracy.correct",
          "at": {"model": "standard"},
          "statistic": "share",
          "at_least": 0.5,
        },
      ),
    }
  )
