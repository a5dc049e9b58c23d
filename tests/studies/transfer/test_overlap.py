import numpy as np

from robust_saliency.studies.transfer import overlap


def test_regions_count_every_example_that_fools_anyone_once():
  fooled = np.random.default_rng(0).random((3, 200)) < 0.4
  counts = overlap.regions(fooled)
  assert sum(counts.values()) == fooled.any(axis=0).sum()
  for network in range(3):
    of_network = sum(count for pattern, count in counts.items() if pattern[network])
    assert of_network == fooled[network].sum()
  assert counts[True, True, False] == (fooled[0] & fooled[1] & ~fooled[2]).sum()
