"""Tests run on one core, so that they are repeatable and leave the rest of the machine to its owner."""

from __future__ import annotations

import os
import signal

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is first imported, here and in child processes

import cv2
import torch
from hypothesis import settings

# A shell that starts the tests in the background ignores Ctrl-C for them and all their children; some tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)

torch.set_num_threads(1)
cv2.setNumThreads(1)

settings.register_profile("fluxformer", deadline=None)  # a busy machine is no failure
settings.load_profile("fluxformer")
