"""An experiment of nothing but methods of somebody's own."""

from robust_saliency.configs import ordered


def get_config():
  """A linear classifier for zeros and ones."""
  model = {
    "architecture": {"name": "line"},
    "objective": {"cross_entropy": {}, "small_logits": {"weight": 0.01, "power": 3.0}},
    "optimizer": {"name": "adam", "learning_rate": 0.01},
    "batch_size": 64,
    "steps": 20,
    "log_every": 10,
  }
  return ordered(
    {
      "title": "Methods of one's own",
      "dataset": {"name": "two_digits"},
      "seeds": (0, 1, 2),
      "models": {"line": model},
      "studies": {
        "accuracy": {"kind": "accuracy"},
        "robustness": {
          "kind": "robustness",
          "attacks": {"lamp": {"name": "brighter", "label": "Brighter"}},
          "epsilons": (0.0, 0.2),
        },
        "maps": {"kind": "saliency", "attribution": {"name": "ink"}},
        "sizes": {"kind": "logit_sizes", "examples": 30},
      },
      "claims": (
        {
          "id": "O1",
          "says": "Logits are larger than 0.1.",
          "about": ("ours",),
          "of": "sizes.largest",
          "at": {"model": "line"},
          "at_least": 0.1,
        },
        {
          "id": "O2",
          "says": "Their spread is below 10.",
          "about": ("ours",),
          "of": "sizes.spread",
          "at": {"model": "line"},
          "at_most": 10.0,
        },
        {
          "id": "O3",
          "says": "A brighter zero is a zero.",
          "about": ("ours",),
          "of": "robustness.correct",
          "at": {"model": "line", "attack": "lamp", "epsilon": 0.2},
          "statistic": "share",
          "at_least": 0.5,
        },
      ),
    }
  )
