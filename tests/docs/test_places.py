"""Every protocol test says against which servers it runs, so that none is left out unseen."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROTOCOL = Path(__file__).resolve().parents[1] / "protocol"



def test_every_protocol_test_says_where_it_runs_beside_the_reference_server() -> None:
    # Collected, not run. A marker that pytest.ini does not name is an error of its own.
    words = ["-n", "0", "--collect-only", "-q", "-m", "not (nodes or host or carried or one_server)"]
    done = subprocess.run([sys.executable, "-m", "pytest", str(PROTOCOL), *words], capture_output=True, text=True)
    assert done.returncode in (0, 5), done.stdout + done.stderr  # 5: nothing was picked
    assert [line for line in done.stdout.splitlines() if "::" in line] == []
