"""`python -m fluxformer_core.cli`: the command where no script is installed."""

import sys

from fluxformer_core.cli import main

sys.exit(main())
