"""The benchmarks are a package of the checkout, not of the distribution."""

import sys

from engine.app.toolchain import project_root

# First, because a dependency installs a package of the same name.
sys.path.insert(0, str(project_root()))
