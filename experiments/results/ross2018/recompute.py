"""Recomputes claims of a report from the arrays that it keeps, by NumPy and SciPy alone.

  python experiments/results/ross2018/recompute.py experiments/results/ross2018/mnist-small

or of another run.

Prints each claim's number, here and in the report, and fails where they differ by more than 1e-6,
or where of three networks or more mean +- t sqrt(s_seed^2 / S + s_image^2 / N), with
Satterthwaite's degrees of freedom, does not lie within the report's interval.
"""

import functools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

DATA = Path(sys.argv[1]) / "data"
CLAIMS = {claim["id"]: claim for claim in json.loads((DATA / "claims.json").read_text())}
ABOUT = {s: json.loads((DATA / f"{s}.json").read_text()) for s in ("fgsm", "gradients", "jsma")}
ARRAYS = {study: dict(np.load(DATA / f"{study}.npz")) for study in ABOUT}
RADII = ABOUT["fgsm"]["layout"]["coordinates"]["epsilon"]
READERS = ABOUT["jsma"]["layout"]["coordinates"]["reader"]
OVERLAP = ABOUT["fgsm"]["metadata"].get("overlap", {}).get("epsilon")


def at(study: str, name: str, **where: Any) -> np.ndarray:
  """An array of a study at some coordinates; its other axes stay."""
  array, layout = ARRAYS[study][name].astype(np.float64), ABOUT[study]["layout"]
  axes = list(layout["axes"][name])
  for axis, one in where.items():
    array = array.take(layout["coordinates"][axis].index(one), axis=axes.index(axis))
    axes.remove(axis)
  return array


def right(source: str, target: str, epsilon: float) -> np.ndarray:
  """Which of the FGSM examples of the source the target gets right [seed, example]."""
  return at("fgsm", "correct", source=source, target=target, epsilon=epsilon)


def extreme(source: str, epsilon: float, which: Callable) -> np.ndarray:
  """The same of a target that is chosen on every second image, on the others."""
  correct = at("fgsm", "correct", source=source, epsilon=epsilon)
  return correct[:, which(correct[..., ::2].mean((0, 2))), 1::2]


def largest_drop(source: str) -> np.ndarray:
  """What is lost by the target and at the radius that lose most, chosen likewise."""
  drop = at("fgsm", "correct", source=source)
  drop = drop[:, np.argmin(RADII)][:, None] - drop  # [seed, epsilon, target, example]
  lost = drop[..., ::2].mean((0, 3))
  return drop[:, *np.unravel_index(lost.argmax(), lost.shape), 1::2]


def crossings(source: str) -> np.ndarray:
  """Where GR(y) gets ahead of the adversarial network, as McNemar's test tells [seed]."""
  apart = np.array([right(source, "GR(y)", e) - right(source, "adversarial", e) for e in RADII])
  found = []
  for one in apart.swapaxes(0, 1):  # [epsilon, example]
    d, noise = one.mean(1), stats.norm.ppf(0.975) * np.sqrt(np.abs(one).sum(1)) / one.shape[1]
    told = np.flatnonzero(np.abs(d) > noise)
    turn = np.flatnonzero(np.diff(np.sign(d[told])))
    zeros = [np.nan]
    if len(turn) == 1 and d[told[0]] < 0:
      first, last = told[turn[0]], told[turn[0] + 1]
      pieces = [i for i in range(first, last) if d[i] * d[i + 1] < 0]
      zeros = [RADII[i] + (RADII[i + 1] - RADII[i]) * d[i] / (d[i] - d[i + 1]) for i in pieces]
      zeros += [RADII[i] for i in range(first, last) if d[i] == 0]
    found.append(np.mean(zeros))
  return np.array(found)


def together(source: str, target: str) -> np.ndarray:
  """Of the examples that fool either network the share that fools both [seed]."""
  fooled = np.array([right(source, one, OVERLAP) for one in (source, target)]) == 0
  return fooled.all(0).sum(1) / fooled.any(0).sum(1)


def median_log(model: str) -> np.ndarray:
  """Of the gradient norms of the loss of y, floored [seed]."""
  norms = at("gradients", "gradient_norm", target="y", model=model)
  return np.median(np.log10(np.maximum(norms, 1e-17)), axis=1)


def led(model: str, reader: str) -> np.ndarray:
  """The share of other classes as which an original is read [seed, example]."""
  labels, read = ARRAYS["jsma"]["labels"], at("jsma", "predictions", model=model, reader=reader)
  classes = np.arange(read.shape[-1])
  other = labels[:, None] != classes
  return ((read == classes) & other).sum(-1) / other.sum(-1)


def net_gain(source: str) -> np.ndarray:
  """What GR(y) gets right of a source's examples beyond the undefended network."""
  return right(source, "GR(y)", 0.4) - right(source, "undefended", 0.4)


def led_gain(reader: str) -> np.ndarray:
  """How much more often a reader reads GR(y)'s images as their target than the undefended's."""
  return led("GR(y)", reader) - led("undefended", reader)


NUMBERS: dict[str, Callable[[], np.ndarray]] = {  # per network [S], or network and image [S, N]
  "C1 undefended": lambda: net_gain("undefended"),
  "C1 adversarial": lambda: net_gain("adversarial"),
  "C2 undefended, from 0.3": lambda: crossings("undefended"),
  "C2 undefended, to 0.4": lambda: crossings("undefended"),
  "C2 adversarial, from 0.4": lambda: crossings("adversarial"),
  "C2 adversarial, to 0.5": lambda: crossings("adversarial"),
  "C5 all": lambda: extreme("undefended", 0.4, np.argmax) - extreme("GR(y)", 0.4, np.argmax),
  "C5 alike": lambda: extreme("GR(y)", 0.5, np.argmax) - extreme("GR(y)", 0.5, np.argmin),
  "C6 drop": lambda: largest_drop("distilled"),
  "C6 zeros": lambda: at("gradients", "gradient_norm", target="y", model="distilled") == 0,
  "C12 adversarial over undefended, y": lambda: (
    median_log("adversarial") - median_log("undefended")
  ),
  "C17": lambda: together("GR(y)", "adversarial") - together("adversarial", "GR(y)"),
  **{f"C18 JSMA, {one}": functools.partial(led_gain, one) for one in READERS},
}


def interval(values: np.ndarray) -> tuple[float, float]:
  """Over networks and images."""
  networks, images = values.shape
  a, b = values.mean(1).var(ddof=1) / networks, values.mean(0).var(ddof=1) / images
  freedom = (a + b) ** 2 / (a**2 / (networks - 1) + b**2 / (images - 1))
  return stats.t.interval(0.95, freedom, loc=values.mean(), scale=np.sqrt(a + b))


def main() -> int:
  """Returns how many claims are wrong."""
  wrong = 0
  for name, claim in CLAIMS.items():
    if name not in NUMBERS:
      continue
    values = NUMBERS[name]()
    theirs = np.nan if claim["value"] is None else claim["value"]
    fits = np.isclose(values.mean(), theirs, rtol=0, atol=1e-6, equal_nan=True)
    if values.ndim == 2 and len(values) > 2 and values.std():
      low, high = np.clip(interval(values), -1, 1)
      fits &= claim["low"] < max(low, 0 if name == "C6 zeros" else -1) + 1e-6
      fits &= claim["high"] > high - 1e-6
    wrong += not fits
    print(f"{name:40} here {values.mean():9.6f}  report {theirs:9.6f}  {'' if fits else 'WRONG'}")
  return wrong


if __name__ == "__main__":
  sys.exit(main())
