"""Ahern et al. 2019, NormLIME: what matters to a network for a class, and does it matter indeed?

Only the paper's abstract, introduction and first caption were to be had, so its design is ours:
local explanations of single images are aggregated into a map of each class and of all classes, and
networks are trained anew on what the maps keep (KAR) or leave (ROAR). What is claimed, and by which
numbers it is decided, is in normlime2019_claims.toml.

  python -m robust_saliency.main --config=normlime2019:mnist,small --workdir=runs/nl

Words after the colon, in any order:

  mnist, fashion_mnist  need `python -m robust_saliency.data prepare mnist` and so on; pixels, and
           blocks of 2x2 and 4x4 pixels, are the features.
  cifar10  likewise; clustered superpixels are the features.
  digits   scikit-learn's, which need nothing.
  small    the default: networks of a quarter of the width on 10,000 images, 3 epochs; 100 images
           of each class are explained (20 by pixels). 1 to 2.5 hours on two cores.
  gpu      its networks on all images but 10,000, which are explained, and a mask of each class
           beside that of all: for `make gpu-normlime`.
  full     likewise with the whole network, 20 epochs, and five of them; for accelerators.
  smoke    a few steps of everything on scikit-learn's digits: two minutes, for tests.
  40       or another number: that many steps a network.

Each of three networks is explained and retrained once. Masks come from images that are neither
trained on nor scored. One mask for all images is the sound protocol: a mask of each class gives the
class away by its shape, which networks that see the masks alone measure.
"""

from typing import Any

from ml_collections import ConfigDict

from robust_saliency import configs

SIDES = {"mnist": 28, "fashion_mnist": 28, "digits": 8}
EXPLAINED = {"small": 100, "gpu": None, "full": None, "smoke": 10}  # of each class; None for all
HELD_OUT = {"mnist": 50_000, "fashion_mnist": 50_000, "cifar10": 40_000, "digits": 900}  # `small`
SIZES = {"small": (1, 5, 20, 40), "smoke": (1, 2, 4)}
SEEDS = {"small": (0, 1, 2), "gpu": (0, 1, 2), "full": (0, 1, 2, 3, 4), "smoke": (0, 1)}
EPOCHS = {"small": 3, "gpu": 3, "full": 20}
# Of the pixels that are removed. Elsewhere MNIST is at its ceiling.
KAR = {"small": (0.7, 0.8, 0.9, 0.95), "smoke": (0.8,), "full": (0.3, 0.5, 0.7, 0.8, 0.9, 0.95)}
ROAR = {"small": (0.7, 0.9), "smoke": (0.9,), "full": (0.1, 0.3, 0.5, 0.7, 0.9)}
# Ten samples for each feature; fewer leave little but the ridge's shrinkage.
SAMPLES_EACH = 10
NETWORK = "standard"
# Fifteen noisy copies, as Hooker et al. have.
NOISY = {"samples": 15, "noise_level": 0.15}
MAPS: dict[str, dict[str, Any]] = {
  "NormLIME": {"rule": "normlime"},
  "mean LIME": {"rule": "mean_absolute"},
  "SP-LIME": {"rule": "root_sum_absolute"},
  "SmoothGrad-Squared": {"name": "smoothgrad_squared", **NOISY},
  "VarGrad": {"name": "vargrad", **NOISY},
  "gradient": {"name": "gradient"},
  "random": {"control": "random"},
  "variance": {"control": "variance"},
  "ANOVA F": {"control": "anova_f"},
}
BLANK = "NormLIME, blank counted"
ABLATION: dict[str, dict[str, Any]] = {
  "mean square": {"rule": "mean_square"},
  "homogeneity-weighted": {"rule": "homogeneity_weighted"},
  "NormLIME, positive": {"rule": "normlime", "evidence": "positive"},
  BLANK: {"rule": "normlime", "blank": "counted"},
}
FEWER = "NormLIME, fewer samples"
# Whose masks of classes are also learnt from alone.
MASKS_ALONE = ("NormLIME", "random", "variance")

SUMMARY = (
  "LIME says of one image which of its parts speak for a class. NormLIME averages such "
  "explanations over images, each coefficient weighted by its share of its explanation, into a map "
  "of what matters for a class. It is held against other averages, against gradients, and against "
  "maps that know no network: with digits in the middle of their images any sensible map finds the "
  "middle, so a map of a network should be better than that of the pixels’ variance. What counts "
  "is what networks can still learn from the pixels that a map keeps."
)


def get_config(variant: str = "mnist,small") -> ConfigDict:
  """The experiment; `variant` holds words between commas, see above."""
  words = configs.variant(
    variant,
    dataset=("mnist", "fashion_mnist", "cifar10", "digits"),
    scale=("small", "gpu", "full", "smoke"),
    steps=int,
  )
  scale, steps = words["scale"], words["steps"]
  smoke = scale == "smoke"
  dataset = "digits" if smoke else words["dataset"]
  held_out = {"small": HELD_OUT[dataset], "smoke": 200}.get(scale, 10_000)
  if dataset == "digits":
    held_out = min(held_out, HELD_OUT[dataset])
  network = model(dataset, scale, steps)
  return configs.ordered(
    {
      "title": f"NormLIME (Ahern et al. 2019) on {dataset}",
      "summary": SUMMARY,
      "scale": scale if steps is None else f"{scale}, {steps:,} steps",
      "dataset": {"name": dataset, "bounds": (-1.0, 1.0), "validation": held_out},
      "seeds": SEEDS[scale],
      "models": {NETWORK: network},
      "studies": {
        "accuracy": {"kind": "accuracy"},
        **class_maps(dataset, scale),
        **retrainings(dataset, scale, network),
      },
      "claims": "normlime2019_claims.toml",
    }
  )


def model(dataset: str, scale: str, steps: int | None) -> dict[str, Any]:
  """The network that is explained, and trained anew."""
  name = {"digits": "digits", "cifar10": "kim_cifar"}.get(dataset, "kim_mnist")
  width = {"width": 0.25} if name != "digits" and scale in ("small", "gpu") else {}
  length = {"steps": steps or 30} if steps or scale == "smoke" else {"epochs": EPOCHS[scale]}
  recipe = {
    "architecture": {"name": name, **width},
    "optimizer": {"name": "adam", "learning_rate": 1e-3},
    "batch_size": 128,
    **length,
    "log_every": 100,
  }
  return configs.model({"cross_entropy": {}}, recipe)


def features(dataset: str) -> dict[str, dict[str, Any]]:
  """The parts of images by name, with LIME's settings; masks are made of the first."""
  if dataset == "cifar10":
    parts = 50
    return {
      "superpixels": {
        "segments": {"name": "slic", "segments": parts},
        "clusters": 100,
        "local": {"samples": SAMPLES_EACH * parts, "fill": "mean"},
      }
    }
  side, found = SIDES[dataset], {}
  for pixels in (2, 4, 1):
    cells = side // pixels
    name = "pixels" if pixels == 1 else f"{pixels}x{pixels} blocks"
    found[name] = {
      "segments": {"name": "grid", "cells": cells},
      # Hidden blocks are black.
      "local": {"samples": SAMPLES_EACH * cells**2, "fill": -1.0},
    }
  return found


def class_maps(dataset: str, scale: str) -> dict[str, Any]:
  """Maps of classes by every method, from each kind of features."""
  found: dict[str, Any] = {}
  for name, own in features(dataset).items():
    explained, sizes = EXPLAINED[scale], SIZES.get(scale, (*SIZES["small"], 400))
    if name == "pixels" and scale != "smoke":
      explained, sizes = 20, (1, 2, 4, 8)  # not all 20 are taken for their class
    local = dict(own["local"])
    if scale in ("gpu", "full"):
      local["chunk_size"] = 4096
    few = {"samples": local["samples"] // 5}
    found[name] = {
      "kind": "class_maps",
      "maps": {**MAPS, **ABLATION, FEWER: {"rule": "normlime", "local": few}},
      **own,
      "local": local,
      "split": "validation",
      "of_each_class": explained,
      "sizes": sizes if dataset != "digits" else sizes[:4],
    }
  return found


def retrainings(dataset: str, scale: str, network: dict[str, Any]) -> dict[str, Any]:
  """KAR and ROAR by one mask for all images, and outside `small` by a mask of each class, too."""
  study = next(iter(features(dataset)))
  fractions = {name: of.get(scale, of["small"]) for name, of in (("KAR", KAR), ("ROAR", ROAR))}

  def removal(protocol: str, of: str) -> dict[str, Any]:
    maps = MASKS_ALONE if (scale, of) == ("smoke", "class") else MAPS
    return {
      "kind": "roar",
      "maps": {name: {"study": study, "map": name, "of": of} for name in maps},
      "retraining": {**network, "log_every": 1000, "checkpoint_every": 1000},
      "fractions": fractions[protocol],
      "protocols": (protocol,),
      **({"mask_only": dict.fromkeys(MASKS_ALONE, (NETWORK,))} if of == "class" else {}),
    }

  found = {protocol: removal(protocol, "all classes") for protocol in fractions}
  # Whether it is the average over those images alone that show a block which costs accuracy.
  found["KAR, blank counted"] = {
    **found["KAR"],
    "maps": {
      name: {"study": study, "map": name, "of": "all classes"} for name in ("NormLIME", BLANK)
    },
    "fractions": fractions["KAR"][-2:],
  }
  if scale != "small":
    with_masks = ("KAR",) if scale == "smoke" else fractions
    found |= {f"{protocol}, class masks": removal(protocol, "class") for protocol in with_masks}
  return found
