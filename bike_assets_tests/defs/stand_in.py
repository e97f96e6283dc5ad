"""Not the command line: a script that answers as it does, so that no broker has to be started.

It writes down how it was called, next to itself, and says what `answer.json` there holds: the exit
status, what goes to standard output and what goes to standard error.
"""

import json
import sys
from pathlib import Path

if __name__ == "__main__":
    here = Path(sys.argv[1])
    (here / "called.json").write_text(json.dumps(sys.argv[2:]))
    answer = json.loads((here / "answer.json").read_text())
    sys.stdout.write(answer["out"])
    sys.stderr.write(answer["err"])
    sys.exit(answer["status"])
