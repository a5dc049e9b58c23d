"""Target maps: where a network that is trained later should look, one map per image."""

from robust_saliency.studies.target_maps.map_file import open_maps
from robust_saliency.studies.target_maps.study import TargetMaps, maps_of_seed

__all__ = ["TargetMaps", "maps_of_seed", "open_maps"]
