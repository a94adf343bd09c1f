"""The recogniser as ROS 2 nodes: messages in, messages out; everything that recognises lives in fluxformer_core."""
