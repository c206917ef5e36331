#!/usr/bin/env python3
"""Opens the console's page in Chromium and uses it as a person would.

    console_page_test.py BUILD_DIR/tests/console_page_server

Needs Debian's chromium and chromium-driver; without them it says so and exits with 77, which
ctest reads as skipped. VIGIE_SCREENSHOTS names a folder to put pictures into.
"""

import base64
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

SKIPPED = 77
DEADLINE_SECONDS = 20
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # The key that W3C WebDriver gives to elements.
TAB, ENTER, ESCAPE = "\ue004", "\ue007", "\ue00c"

# The page knows the scheme, and no colour fades any more (asking applies the style first).
SETTLED = """
return matchMedia(`(prefers-color-scheme: ${arguments[0]})`).matches &&
       document.getAnimations().length === 0;
"""

# The worst contrast of any text on the page, by the formula of WCAG 2.1.
WORST_CONTRAST = """
const channel = (v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
const luminance = (c) => 0.2126 * channel(c[0]) + 0.7152 * channel(c[1]) + 0.0722 * channel(c[2]);
const parse = (text) => text.match(/[0-9.]+/g).map(Number);
const ground = (node) => {
  for (let at = node; at; at = at.parentElement) {
    const c = parse(getComputedStyle(at).backgroundColor);
    if (c.length === 3 || c[3] === 1) return c;
  }
  return [255, 255, 255];
};
let worst = { ratio: 99, text: "" };
for (const node of document.querySelectorAll("body *")) {
  const own = [...node.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
  if (!own || !node.checkVisibility() || node.closest(".visually-hidden, noscript, .skip")) continue;
  const a = luminance(parse(getComputedStyle(node).color));
  const b = luminance(ground(node));
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < worst.ratio) worst = { ratio, text: `${node.tagName}.${node.className}: ${node.textContent.slice(0, 40)}` };
}
return worst;
"""


def free_of_noise(command, **options):
    return subprocess.Popen(command, stderr=subprocess.DEVNULL, text=True, **options)


class PageServer:
    def __init__(self, binary, port=0, token=None):
        command = [binary, str(port)] + ([token] if token else [])
        self.process = free_of_noise(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.port = int(self.process.stdout.readline())
        self.url = f"http://127.0.0.1:{self.port}"

    def do(self, word):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def stop(self):
        if self.process.poll() is None:
            self.process.stdin.close()  # The end of its input is as good as "quit".
            self.process.wait(timeout=DEADLINE_SECONDS)
        self.process.stdout.close()


class Browser:
    """As much of the W3C WebDriver protocol as is needed here."""

    def __init__(self):
        self.profile = tempfile.mkdtemp(prefix="vigie-page-")
        self.driver = free_of_noise(
            [shutil.which("chromedriver"), "--port=0"], stdout=subprocess.PIPE
        )
        self.base = f"http://127.0.0.1:{self._driver_port()}"
        arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-dev-shm-usage",
            "--window-size=1360,1500",
            f"--user-data-dir={self.profile}",
        ]
        answer = self._call(
            "POST",
            "/session",
            {
                "capabilities": {
                    "alwaysMatch": {
                        "goog:chromeOptions": {
                            "binary": shutil.which("chromium"),
                            "args": arguments,
                        },
                        "goog:loggingPrefs": {"browser": "ALL"},
                    }
                }
            },
        )
        self.session = f"/session/{answer['sessionId']}"

    def _driver_port(self):
        for line in self.driver.stdout:
            if "started successfully on port" in line:
                return int(line.rsplit(" ", 1)[1].strip().rstrip("."))
        raise RuntimeError("chromedriver did not start")

    def _call(self, method, path, body=None):
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(
            self.base + path, data, {"Content-Type": "application/json"}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            value = json.load(error)["value"]
            raise RuntimeError(f"{value['error']}: {value['message']}") from None

    def quit(self):
        try:
            self._call("DELETE", self.session)
        finally:
            self.driver.terminate()
            self.driver.wait(timeout=DEADLINE_SECONDS)
            self.driver.stdout.close()
            shutil.rmtree(self.profile, ignore_errors=True)

    def open(self, url):
        # By way of an empty page: two addresses that differ after "#" alone would not load anew.
        self._call("POST", self.session + "/url", {"url": "about:blank"})
        self._call("POST", self.session + "/url", {"url": url})

    def run(self, script, *arguments):
        body = {"script": script, "args": list(arguments)}
        return self._call("POST", self.session + "/execute/sync", body)

    def find(self, selector):
        body = {"using": "css selector", "value": selector}
        return self._call("POST", self.session + "/element", body)[ELEMENT]

    def _on_element(self, selector, what, body):
        # The page redraws itself when news arrives: what was just found may be gone again.
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            try:
                self._call("POST", f"{self.session}/element/{self.find(selector)}/{what}", body)
                return
            except RuntimeError as error:
                if "stale element" not in str(error) or time.monotonic() > deadline:
                    raise

    def click(self, selector):
        self._on_element(selector, "click", {})

    def type(self, selector, text):
        self._on_element(selector, "value", {"text": text})

    def press(self, *keys):
        actions = []
        for key in keys:
            actions += [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        body = {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]}
        self._call("POST", self.session + "/actions", body)

    def text(self, selector):
        return self.run("const n = document.querySelector(arguments[0]); return n ? n.innerText : null", selector)

    def texts(self, selector):
        return self.run("return [...document.querySelectorAll(arguments[0])].map((n) => n.innerText)", selector)

    def focused(self):
        return self.run("const n = document.activeElement; return n.id || n.dataset.key || n.tagName")

    def scheme(self, name):
        features = [{"name": "prefers-color-scheme", "value": name}]
        body = {"cmd": "Emulation.setEmulatedMedia", "params": {"features": features}}
        self._call("POST", self.session + "/goog/cdp/execute", body)

    def log(self):
        return self._call("POST", self.session + "/se/log", {"type": "browser"})

    def screenshot(self, name):
        folder = os.environ.get("VIGIE_SCREENSHOTS")
        if folder:
            picture = base64.b64decode(self._call("GET", self.session + "/screenshot"))
            pathlib.Path(folder, name + ".png").write_bytes(picture)


class ConsolePage(unittest.TestCase):
    server_binary = ""

    @classmethod
    def setUpClass(cls):
        cls.browser = Browser()

    @classmethod
    def tearDownClass(cls):
        cls.browser.quit()

    def setUp(self):
        self.server = PageServer(self.server_binary)
        self.browser.scheme("light")
        self.browser.log()  # Empties it.

    def tearDown(self):
        self.server.stop()

    def wait(self, condition, what):
        deadline = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < deadline:
            value = condition()
            if value:
                return value
            time.sleep(0.05)
        self.fail(f"not within {DEADLINE_SECONDS} s: {what}")

    def show(self, incident="", sub=""):
        path = f"#/incidents/{incident}{sub}" if incident else ""
        self.browser.open(f"{self.server.url}/{path}")
        self.wait(lambda: self.browser.text("#connection") == "live", "the live stream is open")
        self.wait(lambda: self.browser.texts(".card"), "the list is there")
        if incident:
            self.wait(lambda: self.browser.text("main h1") not in (None, "Loading…"), "the incident")

    def test_list_shows_active_incidents_and_all_on_request(self):
        self.show()
        titles = self.browser.texts(".card-title")
        self.assertEqual(titles[0], "checkout answers slowly and with errors")
        self.assertEqual(len(titles), 2)
        self.assertIn("Likely: bad change of service:checkout", self.browser.texts(".card")[0])
        self.assertEqual(self.browser.text("#counts"), "2 active, 1 awaiting approval")
        self.browser.click("#filter-all")
        self.assertEqual(len(self.browser.texts(".card-title")), 3)

    def test_incident_shows_causes_plan_evidence_and_timeline(self):
        self.show("inc-000000000001")
        main = self.browser.text("main")
        for expected in (
            "Confidence: uncalibrated (n=7)",
            "share 0.78 of the evidence",
            "Version 1.5.0 was deployed 48 s before the first symptom.",
            "- image: registry.example/checkout:1.5.0",
            "+ image: registry.example/checkout:1.4.2",
            "uncalibrated (n=7): autonomous needs 30 outcomes",
            "To undo it: roll forward to revision 8",
            "p95 latency 1.84 s, expected 0.11 to 0.24 s",
            "alert CheckoutErrorRateHigh fires",
        ):
            self.assertIn(expected, main)
        self.assertNotRegex(self.browser.text("[aria-labelledby=causes-title]"), r"[0-9]\s*%")
        width = self.browser.run("const bar = document.querySelector('.bar'); return bar.firstChild.offsetWidth / bar.clientWidth")
        self.assertAlmostEqual(width, 0.78, delta=0.02)
        self.browser.screenshot("incident-light")
        self.browser.scheme("dark")
        self.wait(lambda: self.browser.run("return document.getAnimations().length === 0"),
                  "the colours have faded")
        self.browser.screenshot("incident-dark")

    def test_text_from_outside_stays_text(self):
        self.show("inc-000000000002")
        main = self.browser.text("main")
        self.assertIn('<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>', main)
        self.assertEqual(self.browser.run("return document.querySelectorAll('main img, main script, nav img').length"), 0)
        self.assertIsNone(self.browser.run("return window.hacked ?? null"))
        self.assertEqual(self.browser.log(), [])  # No error, and nothing that the policy stopped.

    def test_approval_is_sent_and_its_outcome_arrives_live(self):
        self.show("inc-000000000001")
        self.browser.click("#button-approve")
        self.assertIn("kubernetes.rollback_deployment on deployment:shop/checkout", self.browser.text("#decide-text"))
        self.browser.screenshot("approve")
        self.browser.type("#decide-actor", "grace")
        self.browser.type("#decide-reason", "looks right")
        self.browser.click("#decide-confirm")
        self.wait(lambda: "resolved" in (self.browser.text(".head-pills") or ""), "the incident is resolved")
        self.assertFalse(self.browser.run("return document.getElementById('decide').open"))
        self.assertIn("approve by grace: looks right", self.browser.text(".timeline"))
        self.assertIn("Approved by grace.", self.browser.text("main"))
        self.assertIsNone(self.browser.text("#button-approve"))
        self.browser.click("[data-key=postmortem]")
        self.wait(lambda: "resolved by rolling back" in (self.browser.text(".postmortem") or ""), "the post-mortem")
        self.assertIn("<script>alert(1)</script>", self.browser.text(".postmortem"))
        self.browser.screenshot("postmortem")

    def test_acknowledging_makes_the_person_the_owner(self):
        self.show("inc-000000000001")
        self.browser.click("#button-ack")
        self.browser.type("#decide-actor", "ada")
        self.browser.click("#decide-confirm")
        self.wait(lambda: "ada" in (self.browser.text(".facts") or ""), "the owner is shown")
        self.assertIsNone(self.browser.text("#button-ack"))

    def test_a_resolved_incident_can_be_called_a_false_alarm_or_known(self):
        for button, said in (("false", "false"), ("known", "known")):
            self.show("inc-000000000003")
            self.browser.click(f"#button-{button}")
            self.browser.type("#decide-actor", "ada")
            self.browser.click("#decide-confirm")
            self.wait(lambda said=said: f"verdict {said} by ada" in (self.browser.text(".timeline") or ""),
                      f"the verdict {said} is in the timeline")

    def test_a_plan_replaced_meanwhile_is_not_approved(self):
        self.show("inc-000000000001")
        self.browser.click("#button-approve")
        self.server.do("replan")
        self.wait(lambda: "1.4.1" in self.browser.text("main"), "the new plan is shown behind the dialog")
        self.browser.type("#decide-actor", "ada")
        self.browser.click("#decide-confirm")
        self.wait(lambda: "read it again" in (self.browser.text("#decide-error") or ""), "the refusal is shown")
        self.assertIn("awaiting approval", self.browser.text(".head-pills"))

    def test_a_new_incident_appears_without_a_reload(self):
        self.show()
        self.server.do("open")
        self.wait(lambda: "disk of db-1 is almost full" in self.browser.texts(".card-title"), "the new card")
        self.assertIn("disk of db-1", self.browser.text("#announcement"))

    def test_connection_is_made_again_after_a_restart(self):
        self.show("inc-000000000001")
        port = self.server.port
        self.server.stop()
        self.wait(lambda: self.browser.text("#connection") == "reconnecting…", "the loss is shown")
        self.assertIn("checkout answers slowly", self.browser.text("main h1"))
        self.server = PageServer(self.server_binary, port)
        self.wait(lambda: self.browser.text("#connection") == "live", "the stream is open again")

    def test_a_needed_token_is_asked_for(self):
        self.server.stop()
        self.server = PageServer(self.server_binary, token="open-sesame")
        self.show("inc-000000000001")
        self.browser.click("#button-ack")
        self.browser.type("#decide-actor", "ada")
        self.browser.click("#decide-confirm")
        self.wait(lambda: "token" in (self.browser.text("#decide-error") or ""), "the refusal is shown")
        self.browser.type("#decide-token", "open-sesame")
        self.browser.click("#decide-confirm")
        self.wait(lambda: "ada" in (self.browser.text(".facts") or ""), "the owner is shown")

    def test_the_keyboard_alone_is_enough(self):
        self.show()
        for _ in range(20):
            self.browser.press(TAB)
            if self.browser.focused() == "inc-000000000001":
                break
        self.assertEqual(self.browser.focused(), "inc-000000000001")
        self.browser.press(ENTER)
        self.wait(lambda: self.browser.text("#button-ack"), "the incident is shown")
        self.assertEqual(self.browser.focused(), "detail")
        self.browser.press(TAB)
        self.assertEqual(self.browser.focused(), "button-ack")
        self.browser.press(ENTER)
        self.assertEqual(self.browser.focused(), "decide-actor")
        self.browser.press(ESCAPE)
        self.assertEqual(self.browser.focused(), "button-ack")
        # A live update leaves the focus where it is.
        self.server.do("replan")
        self.wait(lambda: "1.4.1" in self.browser.text("main"), "the update is shown")
        self.assertEqual(self.browser.focused(), "button-ack")

    def test_contrast_is_enough_in_light_and_dark(self):
        for incident in ("inc-000000000001", "inc-000000000002", "inc-000000000003"):
            self.show(incident)
            self.browser.click("#filter-all")
            for scheme in ("light", "dark"):
                self.browser.scheme(scheme)
                self.wait(lambda: self.browser.run(SETTLED, scheme), "the colours have faded")
                worst = self.browser.run(WORST_CONTRAST)
                self.assertGreaterEqual(worst["ratio"], 4.5, f"{scheme}: {worst['text']}")

    def test_nothing_is_loaded_from_elsewhere(self):
        self.show("inc-000000000001")
        names = self.browser.run("return performance.getEntriesByType('resource').map((e) => e.name)")
        self.assertTrue(names)
        for name in names:
            self.assertTrue(name.startswith((self.server.url, "data:")), name)
        self.assertEqual(self.browser.log(), [])

    def test_an_unknown_incident_says_so(self):
        self.show("inc-ffffffffffff")
        self.assertEqual(self.browser.text("main h1"), "There is no such incident")

    def test_a_narrow_window_has_no_sideways_scroll(self):
        body = {"cmd": "Emulation.setDeviceMetricsOverride",
                "params": {"width": 400, "height": 900, "deviceScaleFactor": 1, "mobile": False}}
        self.browser._call("POST", self.browser.session + "/goog/cdp/execute", body)
        try:
            self.show("inc-000000000001")
            self.assertLessEqual(self.browser.run("return document.documentElement.scrollWidth"), 400)
            self.browser.screenshot("narrow")
            self.browser.click("[data-key=to-list]")
            visible = "return document.querySelector(arguments[0]).checkVisibility()"
            self.wait(lambda: not self.browser.run(visible, "main"), "the list alone is shown")
            self.assertTrue(self.browser.run(visible, ".card"))
        finally:
            body = {"cmd": "Emulation.clearDeviceMetricsOverride", "params": {}}
            self.browser._call("POST", self.browser.session + "/goog/cdp/execute", body)


def main():
    if len(sys.argv) < 2:
        print(__doc__)
        return 2
    if not shutil.which("chromium") or not shutil.which("chromedriver"):
        print("skipped: chromium and chromium-driver are not installed")
        return SKIPPED
    ConsolePage.server_binary = sys.argv.pop(1)
    return 0 if unittest.main(exit=False, verbosity=2).result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
