"""Adversarial robustness and interpretable gradients in JAX.

The folders, in the order in which they build on one another:

  core            norms and projections, per-example keys, chunked mapping, argument checks
  attacks         worst-case inputs
  attributions    saliency maps
  objectives      what training minimises
  models          the papers' networks as Flax modules
  data            data sets as arrays
  training        the pmapped step, the loop, checkpoints
  studies         one file per measurement
  report          tables, figures and one HTML page

`python -m robust_saliency.main --config=experiments/digits.py --workdir=runs/digits` runs an
experiment from its config to its report.

Importing the package imports nothing else, so that `main` can tell JAX how many host devices to
make before it starts.
"""

__version__ = "0.1.0"
