"""Figures, and what a page is made of.

section          a part of a page: text, pictures, tables, sheets of numbers
canvas           the figures' common look, and their bytes
palette          one colour, marker and dash per network
epsilon_curves   accuracy against epsilon
boxes, mosaic    distributions side by side, grids of images
saliency_panel   maps below the images that they are of
formatting       how numbers are printed
"""
