"""Human-action recognition from a stream of camera images: models, optical flow, streaming and training. No ROS."""

__version__ = "0.2.0"
