import os
import secrets
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_django_has_nothing_against_what_is_deployed() -> None:
    check = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    production = {"HTTPS": "true", "SESSION_SECRET": secrets.token_hex()}
    subprocess.run(check, cwd=ROOT, env=os.environ | production, check=True)
