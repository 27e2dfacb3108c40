"""`python -m bbquery` is `bbquery`."""

import sys

from bbquery.cli import main

sys.exit(main())
