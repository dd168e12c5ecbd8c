"""Serve requests with a function's archive, unpacked, and the packages that it asks for: nothing else is there.

What to do is in a file of JSON, what came of it goes into another: `python -I -S alone.py TOLD RESULT`.
"""

import json
import os
import sys
from pathlib import Path


def main() -> None:
    told = json.loads(Path(sys.argv[1]).read_text())
    os.environ |= told["settings"]
    sys.path.append(told["packages"])
    import functions_framework

    app = functions_framework.create_app(  # type: ignore[no-untyped-call]
        told["function"], f"{told['archive']}/main.py"
    )

    from common import auth, db

    auth.issuer_keys.know(told["keys"])
    run: set[str] = set()
    text = db.sql

    def noted(name: str) -> str:
        run.add(name)
        return text(name)

    db.__dict__["sql"] = noted
    answers = []
    for request in told["requests"]:
        response = app.test_client().open(
            request["path"],
            method=request["method"],
            json=request["json"],
            headers=[("Authorization", f"Bearer {request['bearer']}"), *request["headers"]],
        )
        answers.append([response.status_code, response.get_data(as_text=True)])
    for name in told["modules"]:
        __import__(f"common.{name}")
    for name in told["statements"]:
        text(name)
    Path(sys.argv[2]).write_text(json.dumps({"answers": answers, "run": sorted(run)}))


if __name__ == "__main__":
    main()
