"""Where the repository, its configuration and the real data lie."""

from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
CONF = REPOSITORY / "conf"
SHARED_DATA = REPOSITORY.parent / "shared" / "data"
