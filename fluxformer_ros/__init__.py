"""The recogniser as ROS 2 nodes; fluxformer_core does the recognition."""
