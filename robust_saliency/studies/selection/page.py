"""The section of a selection: accuracy against the hyper-parameter, and which value is chosen."""

import dataclasses
from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter

from robust_saliency.drawing import canvas
from robust_saliency.drawing.formatting import percent, percent_range, short
from robust_saliency.drawing.palette import QUIET, Style
from robust_saliency.drawing.section import Picture, Row, RowGroup, Section, Sheet, Table
from robust_saliency.results import shares
from robust_saliency.results.result import Result


def section(result: Result, styles: Mapping[str, Style]) -> Section:
  """Draws `clean` and `attacked` [model, seed, example] against each family's number.

  Returns:
    A section with one figure, one table and one sheet.
  """
  said, seeds = result.metadata, result.layout.coordinates["seed"]
  models = result.layout.coordinates["model"]
  families, chosen, eligible = said["families"], said["chosen"], said["eligible"]
  reference, attack, keep = said["reference"], said["attack"], said["keep"]
  clean, attacked = result.arrays["clean"], result.arrays["attacked"]
  examples = clean.shape[-1]
  of_clean, of_attacked = (
    shares(values, units="validation images") for values in (clean, attacked)
  )
  measured = {
    name: tuple(
      (float(a.value[m]), float(a.low[m]), float(a.high[m])) for a in (of_clean, of_attacked)
    )
    for m, name in enumerate(models)
  }
  under = f"{attack['label']} at ε = {short(said['epsilon'])}"

  def cells(name: str, mark: str) -> list[str]:
    return [
      *(f"{percent(mean)} ({percent_range(*ends)})" for mean, *ends in measured[name]),
      mark,
    ]

  below = f"below {percent(keep)} % of {reference}"

  tied, rule = said.get("tied", {}), said.get("standard_errors")

  def mark(family: str, name: str) -> str:
    if name == chosen[family]:
      return "chosen" if name in eligible else f"chosen, although {below}"
    if name not in eligible:
      return below
    return "as good as the best" if rule is not None and name in tied[family] else ""

  groups = [
    RowGroup(
      [
        Row(f"λ = {short(number)}", [name, *cells(name, mark(family, name))])
        for name, number in ours.items()
      ],
      heading=family,
    )
    for family, ours in families.items()
  ]
  groups.append(RowGroup([Row("without", [reference, *cells(reference, "")])]))
  rows = []
  for family, ours in {**families, "": {reference: ""}}.items():
    for name, number in ours.items():
      m, verdict = models.index(name), mark(family, name) if family else ""
      for s, seed in enumerate(seeds):
        accuracies = float(clean[m, s].mean()), float(attacked[m, s].mean())
        rows.append([family, name, number, seed, *accuracies, verdict])
  fallen_back = [family for family, name in chosen.items() if name not in eligible]
  fallback = (
    f"No network of {' or '.join(fallen_back)} keeps that much: there the most accurate is chosen. "
    if fallen_back
    else ""
  )
  ties = ""
  if rule is not None:
    errors = "one standard error" if rule == 1 else f"{short(rule)} standard errors"
    ties = (
      f"Candidates within {errors} of the most accurate count as equal to it: of these the paper’s "
      "number is taken, and where it is not among them the largest. "
    )
  return Section(
    title="Choice of lambda",
    reading=(
      f"Accuracy on {examples:,} validation images, clean and on images crafted by {under} "
      f"on another network ({said['source']}). Of each family the network is chosen that is most "
      f"accurate under attack, among those that keep {percent(keep)} % of the clean accuracy of "
      f"{reference}. {ties}{fallback}From here on a chosen network goes by its family’s name."
    ),
    pictures=[_picture(families, chosen, measured, reference, under, styles)],
    tables=[
      Table(
        caption=(
          f"Accuracy in per cent on validation images; in brackets the {of_clean.interval}."
        ),
        columns=["", "Network", "Clean", under, ""],
        groups=groups,
      )
    ],
    sheets=[
      Sheet(
        "selection",
        ["family", "model", "number", "seed", "clean", "attacked", "verdict"],
        rows,
      )
    ],
  )


def _picture(
  families: dict[str, dict[str, float]],
  chosen: dict[str, str],
  measured: dict[str, tuple[tuple[float, float, float], ...]],
  reference: str,
  under: str,
  styles: Mapping[str, Style],
) -> Picture:
  # Dashes tell clean from attacked here, not one family from another.
  styles = {family: dataclasses.replace(styles[family], dash="solid") for family in families}

  def paint(axes: Axes) -> None:
    for family, ours in families.items():
      order = sorted(ours, key=ours.__getitem__)
      numbers = [ours[name] for name in order]
      style = styles[family]
      for which, line, filled in ((0, "--", False), (1, "-", True)):
        axes.plot(
          numbers,
          [measured[name][which][0] for name in order],
          color=style.colour,
          linestyle=line,
          linewidth=1.5,
          marker=style.marker,
          markersize=4.5,
          markerfacecolor=style.colour if filled else "white",
          clip_on=False,
        )
      best = chosen[family]
      axes.plot(
        [ours[best]],
        [measured[best][1][0]],
        marker="o",
        markersize=11,
        markerfacecolor="none",
        markeredgecolor=style.colour,
        linestyle="none",
        clip_on=False,
      )
    for which, line in ((0, "--"), (1, "-")):
      axes.axhline(measured[reference][which][0], color=QUIET, linestyle=line, linewidth=1)
    lambdas = [number for ours in families.values() for number in ours.values()]
    axes.set_xscale("log" if min(lambdas) > 0 else "symlog")
    if len(set(lambdas)) == 1 and lambdas[0] > 0:
      # matplotlib's own limits around a single number are decades away.
      axes.set_xlim(lambdas[0] / 2, lambdas[0] * 2)
      axes.set_xticks(lambdas[:1])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(FuncFormatter(canvas.percent_label))
    axes.set_xlabel("λ, per example")
    axes.set_title("Accuracy on validation images")

  size, svg, png = canvas.curve_figure(styles, paint)
  best = "; ".join(
    f"{family} {short(families[family][name])} with {percent(measured[name][1][0])} % under "
    f"{under} and {percent(measured[name][0][0])} % clean"
    for family, name in chosen.items()
  )
  return Picture(
    name="accuracy",
    caption=(
      f"Solid lines and filled marks: under {under}, crafted on another network. Broken lines and "
      f"empty marks: clean. Grey: {reference}. Ringed: chosen."
    ),
    alt=f"Accuracy against lambda. Chosen: {best}.",
    svg=svg,
    png=png,
    width=canvas.css_width(size),
  )
