"""What the machine is asked: also where it has none of Unix' own modules."""

import subprocess
import sys

from leaq.system.environment import describe_environment, peak_memory

WITHOUT = """
import sys
for name in ("fcntl", "resource", "pwd", "grp", "termios"):
    sys.modules[name] = None
import leaq, leaq.cli.main, leaq.pipeline.flow, leaq.study
from leaq.system.environment import peak_memory
print("started", peak_memory())
"""


def test_nothing_that_windows_lacks_is_needed_to_start():
    found = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    assert found.stdout.startswith("started")


def test_the_environment_names_versions_and_memory_is_counted_in_bytes():
    assert {"python", "leaq"} <= set(describe_environment()["versions"]) | {"python"}
    assert peak_memory() > 2**20
