"""The function types that the whole package is written in."""

from collections.abc import Callable
from typing import Any

from jax import Array

# A PRNG key: typed (`jax.random.key`) or raw (`jax.random.PRNGKey`); one, or one per example.
Key = Array

# Images [B, H, W, C] -> logits [B, K], with parameters, mode and normalisation already bound.
LogitsFn = Callable[[Array], Array]

# (key, logits_fn, images, labels) -> adversarial images of the same shape.
Attack = Callable[[Key, LogitsFn, Array, Array], Array]

# (key, logits_fn, images, labels) -> a map of the images' shape.
Attribution = Callable[[Key, LogitsFn, Array, Array], Array]

# (low, high) of the pixel values.
Bounds = tuple[float, float]

# The same where each may also differ by channel [C], as those of normalised images do.
PixelBounds = tuple[Array | float, Array | float]

# (variables, images [B, H, W, C], train=..., mask=[B] or None, dropout_keys=[B] or None) ->
# (logits [B, K], new variables other than the parameters: {"batch_stats": ..., ...});
# `robust_saliency.models.apply_fn` makes one of a module.
ApplyFn = Callable[..., tuple[Array, Any]]
