"""The gradients of outputs without automatic differentiation, and in PyTorch."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import log_softmax, softmax

OUTPUTS = {
  "logits": lambda z: z,
  "probabilities": lambda z: softmax(z, axis=-1),
  "log_probabilities": lambda z: log_softmax(z, axis=-1),
}


def class_gradients(problem, *, output="logits", train=True, step=1e-5):
  """d/dx of each output, summed over the batch, by central differences: [K, B, H, W, C]."""
  changes = _changes(problem, output=output, train=train, step=step).sum(axis=1)
  return changes.T.reshape(-1, *problem.x.shape)


def true_class_gradient(problem, *, output="logits", train=True, step=1e-5):
  """The same of the outputs of the true classes, summed over the batch: [B, H, W, C]."""
  changes = _changes(problem, output=output, train=train, step=step)
  return changes[:, np.arange(len(problem.y)), problem.y].sum(axis=1).reshape(problem.x.shape)


def _changes(problem, *, output, train, step):
  """d o_nk / d pixel for every pixel of the batch: [pixels, B, K]."""
  logits_of = jax.jit(jax.vmap(problem.logits_fn(train=train)))
  moves = step * np.eye(problem.x.size).reshape(-1, *problem.x.shape)
  sides = [
    OUTPUTS[output](np.asarray(logits_of(jnp.asarray(problem.x + sign * moves))))
    for sign in (1, -1)
  ]
  return (sides[0] - sides[1]) / (2 * step)


def torch_network(torch, problem, *, train=True):
  """The problem's network on copied weights: (images [B, H, W, C] -> logits, the weights)."""
  functional = torch.nn.functional
  copies = jax.tree.map(
    lambda leaf: torch.tensor(leaf, requires_grad=True), problem.variables["params"]
  )
  convolution, dense = copies["Conv_0"], copies["Dense_0"]

  def network(x):
    h = functional.conv2d(
      x.permute(0, 3, 1, 2),
      convolution["kernel"].permute(3, 2, 0, 1),
      convolution["bias"],
      padding=1,
    )
    if problem.batch_norm:
      running = problem.variables["batch_stats"]["BatchNorm_0"]
      h = functional.batch_norm(
        h,
        torch.tensor(running["mean"]),
        torch.tensor(running["var"]),
        bias=copies["BatchNorm_0"]["bias"],
        training=train,
        eps=1e-3,
      )
    return torch.tanh(h).permute(0, 2, 3, 1).flatten(1) @ dense["kernel"] + dense["bias"]

  return network, copies
