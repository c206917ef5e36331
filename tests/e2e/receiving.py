"""A Vigie that takes OTLP, for tests that send to it with clients of others."""
import pathlib
import re
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "demo"))

from stage import Stage, fetch, free_ports  # noqa: E402

VIGIE = pathlib.Path(sys.argv[1]).resolve()
FOLDER = pathlib.Path(sys.argv[2]).resolve()

CONFIG = """\
data: {data}
listen: {{api: '127.0.0.1:{api}', otlp: '127.0.0.1:{otlp}', otlp_grpc: '127.0.0.1:{grpc}',
         alertmanager: 'off'}}
"""


class Receiving(unittest.TestCase):
    """Runs it while the tests of a class run."""

    @classmethod
    def setUpClass(cls):
        cls.stage = Stage(FOLDER)
        cls.addClassCleanup(cls.stage.stop_all)
        cls.ports = dict(zip(("api", "otlp", "grpc"), free_ports(3)))
        config = FOLDER / "vigie.yaml"
        config.write_text(CONFIG.format(data=FOLDER / "data", **cls.ports))
        cls.stage.start("vigie", [VIGIE, "serve", "--config", config])
        cls.stage.wait_for_url("vigie", f"http://127.0.0.1:{cls.ports['api']}/-/ready")

    def counters(self):
        """{series: value} of Vigie's own metrics."""
        _, text = fetch(f"http://127.0.0.1:{self.ports['api']}/metrics")
        return {name: float(value) for name, value in
                re.findall(r"^(vigie_(?:ingest|detect)\S*) (\S+)$", text, re.MULTILINE)}
