"""The Kubernetes API of the demo: the stand-in of tests/standins, with its eyes open."""
import json
import sys

from stage import DemoError, fetch, fetch_json

NAMESPACE = "shop"
TOKEN = "demo-cluster-token"
OURS = "demo/"  # The start of our own User-Agent: pipeline and people.
PATCH = "application/strategic-merge-patch+json"
VERSIONS = {"frontend": ("1.3.9", "1.4.0"), "checkout": ("1.4.1", "1.4.2"),
            "payments": ("2.0.0", "2.1.0")}


def image_of(deployment, version):
    return f"{NAMESPACE}/{deployment}:{version}"


class Cluster:
    def __init__(self, stage, root, port):
        self._stage, self._root, self._port = stage, root, port
        self.url = f"http://127.0.0.1:{port}"
        self.state = stage.folder / "deployed.json"  # The shop's services read it.

    def start(self):
        """Deploys the shop: for each service the version that runs, and the one before it."""
        wanted = self._stage.folder / "cluster.json"
        wanted.write_text(json.dumps([
            {"namespace": NAMESPACE, "name": name, "images": [image_of(name, v) for v in versions]}
            for name, versions in VERSIONS.items()]))
        self._stage.start("kubernetes", [
            sys.executable, self._root / "tests/standins/kubernetes.py", "--port", self._port,
            "--token", TOKEN, "--state", wanted, "--state-out", self.state])
        self._stage.wait_for_url("kubernetes", f"{self.url}/_violations")

    def set_image(self, deployment, version, who):
        """As a pipeline or a person does with kubectl."""
        body = {"spec": {"template": {"spec": {"containers": [
            {"name": deployment, "image": image_of(deployment, version)}]}}}}
        status, text = fetch(
            f"{self.url}/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{deployment}", "PATCH",
            json.dumps(body).encode(),
            {"Content-Type": PATCH, "Authorization": f"Bearer {TOKEN}",
             "User-Agent": f"{OURS}{who}"})
        if status != 200:
            raise DemoError(f"the cluster answered {status}: {text.strip()}")

    def version(self, deployment):
        return json.loads(self.state.read_text())[f"{NAMESPACE}/{deployment}"]["version"]

    def changes_by_vigie(self):
        """How many requests of Vigie wanted to change something."""
        return sum(1 for request in fetch_json(f"{self.url}/_requests")
                   if request["method"] != "GET"
                   and not request["headers"].get("user-agent", "").startswith(OURS))

    def broken_contracts(self):
        """(whether requests were checked against Kubernetes' own schema, what broke it)."""
        answer = fetch_json(f"{self.url}/_violations")
        return answer["checked"], answer["violations"]
