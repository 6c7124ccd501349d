"""`python examples/demo` is `python examples/demo/run.py`."""

import sys

from run import main

sys.exit(main())
