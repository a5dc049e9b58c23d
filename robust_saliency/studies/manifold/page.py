"""The section on the manifold: distances, their ratios, and what the VAE-GAN knows."""

from collections.abc import Mapping

import numpy as np

from robust_saliency.drawing.formatting import attack_in_words, number, percent, with_interval
from robust_saliency.drawing.palette import Style
from robust_saliency.drawing.section import Headline, Row, RowGroup, Section, Sheet, Table
from robust_saliency.results import beside_references
from robust_saliency.results.gates import why_not
from robust_saliency.results.result import Result
from robust_saliency.results.uncertainty import mean_of_known
from robust_saliency.studies.manifold import pictures


def section(result: Result, styles: Mapping[str, Style]) -> Section:
  """Draws `mean_distance`, the images that the VAE-GAN makes, and `gradients`.

  Args:
    result: of a manifold; metadata `attack`, `epsilon`, `components`, `examples`,
      `tangent_examples`, `shares_by_chance`, `classes` and `panels`.
    styles: how each network is drawn.

  Returns:
    A section with pictures of distances, of each panel's densities, of images and of gradients,
    two tables and a sheet.
  """
  known, said, arrays = result.layout.coordinates, result.metadata, result.arrays
  under = attack_in_words(said["attack"], said["epsilon"])
  closed = {name: why_not(result, "gap", {"manifold": name}) for name in known["manifold"]}
  doubted = [name for name, why in closed.items() if why]
  gate = f"Nothing is judged by {'; '.join(doubted)}: {closed[doubted[0]]}. " if doubted else ""
  return Section(
    title="Distance to the manifold",
    reading=(
      f"{gate}Each network’s own adversarial images ({under}, of {said['examples']:,} test images) "
      "and how far they lie, in ℓ₂, from what a VAE-GAN makes of them, by a sampled code as in the "
      f"paper and by the mean one, and from the plane of {said['components']} principal "
      "components, which needs no training. A panel counts the images of which all of its "
      "networks are fooled. The nearer, the more a network’s gradient leads along the images’ "
      "manifold. If the plane tells the same, the VAE-GAN adds nothing. The VAE-GAN is one fixed "
      "condition: how its own training varies is not measured."
    ),
    pictures=[
      *(pictures.distances(result, place) for place in range(len(known["manifold"]))),
      *(pictures.densities(result, panel, styles) for panel in said["panels"]),
      pictures.images(result),
      pictures.gradients(result, styles),
    ],
    headlines=[
      Headline(
        "ratio r of the distance to the manifold",
        {name: number(float(arrays["ratio"][0, n])) for n, name in enumerate(known["network"])},
      )
    ],
    is_headline=True,
    tables=[_table(result), _chances(result)],
    sheets=[_sheet(result)],
  )


def _table(result: Result) -> Table:
  arrays, known = result.arrays, result.layout.coordinates
  chances = result.metadata["shares_by_chance"]
  groups = []
  for place, manifold in enumerate(known["manifold"]):
    of_plane = int(place == len(known["manifold"]) - 1)
    inside = mean_of_known(arrays["inside"][of_plane][:, 0])
    standards = len(known["standard"])
    words = ", not judged" if why_not(result, "gap", {"manifold": manifold}) else ""
    rows = [
      Row("test images", [number(float(arrays["natural"][place].mean())), "", "", ""]),
      *(
        Row(
          name,
          [number(float(arrays["of_standards"][place, 0, s])), "1", "", percent(float(inside[s]))],
        )
        for s, name in enumerate(known["standard"])
      ),
      *(
        Row(
          name,
          [
            number(float(arrays["mean_distance"][place, n])),
            number(float(arrays["ratio"][place, n])),
            with_interval(beside_references(arrays["gap"][place, n])) + words,
            percent(float(inside[standards + n])),
          ],
        )
        for n, name in enumerate(known["network"])
      ),
    ]
    groups.append(RowGroup(rows, manifold))
  return Table(
    caption=(
      "Mean distance of each network’s adversarial images; r, which is 0 for the natural images "
      "and 1 for the mean of the standard networks; the difference from the standard networks, in "
      "brackets its 95 % interval, for which a network varies as they do; and the share of the "
      "squared loss gradient that lies in the tangent space "
      f"({percent(chances[0])} % of a random one’s for the VAE-GAN, "
      f"{percent(chances[1])} % for the plane)."
    ),
    columns=["Network", "distance", "r", "minus standard", "inside, %"],
    groups=groups,
  )


def _chances(result: Result) -> Table:
  panels, known = result.metadata["panels"], result.layout.coordinates
  networks = known["network"]

  def falling(means: np.ndarray) -> int:
    return sum(
      bool((np.diff([means[networks.index(one)] for one in of]) < 0).all())
      for of in panels.values()
    )

  rows = [
    Row(
      manifold,
      [
        f"{falling(result.arrays['mean_distance'][place])} of {len(panels)}",
        number(float(result.arrays["chance_falling"][place])),
        number(float(result.arrays["chance_apart"][place])),
      ],
    )
    for place, manifold in enumerate(known["manifold"])
  ]
  return Table(
    caption=(
      "In how many panels the distance falls with every strength, and how likely that many would "
      "if all orders were equally likely (exact); and how likely the standard networks’ distances "
      "would lie so far above the others’ if it were chance which networks are called standard "
      "(Fisher’s permutation test)."
    ),
    columns=["Manifold", "panels", "falling by chance", "apart by chance"],
    groups=[RowGroup(rows)],
  )


def _sheet(result: Result) -> Sheet:
  arrays, known = result.arrays, result.layout.coordinates
  panel_of = {
    one: (place, panel)
    for place, (panel, of) in enumerate(result.metadata["panels"].items())
    for one in of
  }
  rows = [
    [
      manifold,
      panel_of[name][1],
      name,
      float(arrays["mean_distance"][place, n]),
      float(arrays["ratio"][place, n]),
      *map(float, arrays["of_standards"][place, 1 + panel_of[name][0]]),
    ]
    for place, manifold in enumerate(known["manifold"])
    for n, name in enumerate(known["network"])
  ]
  header = ["manifold", "panel", "network", "distance", "ratio", *known["standard"]]
  return Sheet("manifold", header, rows)
