"""Figures, and what a page is made of.

Each of these gives a matplotlib Figure, from arrays:

  show_maps         images with saliency maps below: heat maps, overlays, masked images
  show_adversarial  images, perturbations, adversarial images
  show_robustness   accuracy against epsilon
  show_transfer     a transfer matrix

The report's parts:

section          a part of a page: text, pictures, tables, sheets of numbers
canvas           the figures' common look, and their bytes
palette          one colour, marker and dash per network
epsilon_curves   accuracy against epsilon
heat_map         accuracy of each network on each other's adversarial examples
boxes, mosaic    distributions side by side, grids of images
saliency_panel   maps below the images that they are of
tile_grid        where their images, headings, words and colour bars lie
formatting       how numbers are printed
"""

from robust_saliency.drawing.show import (
  show_adversarial,
  show_maps,
  show_robustness,
  show_transfer,
)

__all__ = ["show_adversarial", "show_maps", "show_robustness", "show_transfer"]
