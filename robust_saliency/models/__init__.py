"""The papers' networks as Flax modules.

Every module is called, and every model added here should be, as

  module.apply(variables, x, train=False, mask=None, dropout_keys=None) -> logits [B, K]

  x             images [B, H, W, C], float32, as the data set gives them: within its `bounds`, in
                which epsilons are counted too. That is [0, 1] but where a paper says otherwise,
                and then so does the docstring of its network; a normalisation within the network
                (local contrast, say) is a layer of it
  train         batch norm by the batch's own statistics, and dropout on
  mask          [B], 1 for real examples and 0 for the padding of a short last batch, which batch
                norm ignores in training mode
  dropout_keys  [B], one key per example, needed in training mode where there is dropout

and has the attributes `num_classes` (K) and `axis_name`, the `jax.pmap` axis over which batch
norm's statistics are synchronised in training mode (None for one device). Its variables are
{"params": ..., "batch_stats": ...}. Convolutions go through `loop_safe_conv` and pooling through
`first_max_pool`, which are several times faster on CPU and equal elsewhere.

`VAEGAN` alone is no classifier: called so it gives an image's reconstruction.

`init`, `logits_fn` and `apply_fn` turn a module into the plain functions that attacks,
attributions and objectives take, so those know nothing about modules. `from_flax`, `from_nnx` and
`from_equinox` do so for any module of Flax or Equinox, with stock batch norm and dropout.
`read_published_weights` fills a residual network with what was trained in PyTorch.
"""

from robust_saliency.models.batch_norm import BatchNorm
from robust_saliency.models.binding import apply_fn, init, logits_fn
from robust_saliency.models.convolution import loop_safe_conv
from robust_saliency.models.digits import DigitsCNN
from robust_saliency.models.dropout import Dropout
from robust_saliency.models.from_equinox import from_equinox
from robust_saliency.models.from_flax import from_flax, from_nnx
from robust_saliency.models.kim import KimCIFARCNN, KimMNISTCNN
from robust_saliency.models.local_contrast import local_contrast_normalization
from robust_saliency.models.mlp import MLP
from robust_saliency.models.noack import NoackCNN
from robust_saliency.models.pooling import first_max_pool
from robust_saliency.models.published_weights import PublishedNetwork, read_published_weights
from robust_saliency.models.registry import MODELS, build, names, register
from robust_saliency.models.resnet import ResNet
from robust_saliency.models.ross import RossCNN
from robust_saliency.models.spectral import SpectralConv
from robust_saliency.models.vae_gan import VAEGAN
from robust_saliency.models.wide_resnet import WideResNet

__all__ = [
  "MLP",
  "MODELS",
  "VAEGAN",
  "BatchNorm",
  "DigitsCNN",
  "Dropout",
  "KimCIFARCNN",
  "KimMNISTCNN",
  "NoackCNN",
  "PublishedNetwork",
  "ResNet",
  "RossCNN",
  "SpectralConv",
  "WideResNet",
  "apply_fn",
  "build",
  "first_max_pool",
  "from_equinox",
  "from_flax",
  "from_nnx",
  "init",
  "local_contrast_normalization",
  "logits_fn",
  "loop_safe_conv",
  "names",
  "read_published_weights",
  "register",
]
