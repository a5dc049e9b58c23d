"""Decision boundaries of points in the plane: how far they tilt, and where attacks lead."""

from robust_saliency.studies.boundary.study import Boundary

__all__ = ["Boundary"]
