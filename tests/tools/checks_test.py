#!/usr/bin/env python3
"""The scripts that check the tree find what they are for, and nothing else."""
import pathlib
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import bench  # noqa: E402
import check_layers  # noqa: E402
import check_style  # noqa: E402
import metrics_doc  # noqa: E402
from source import Findings, code_of, files  # noqa: E402


def layers():
    return check_layers.read_rules((ROOT / "tools/layers.txt").read_text())[0]


class CodeOf(unittest.TestCase):
    def test_comments_and_literals_are_blanked_and_lines_stay(self):
        text = 'int a = 1\'000; // throw\n/* throw\nthrow */ auto s = "throw";\nchar c = \'"\';'
        code = code_of(text)
        self.assertNotIn("throw", code)
        self.assertEqual(code.count("\n"), text.count("\n"))
        self.assertIn("1'000", code)
        self.assertIn("auto s", code)

    def test_raw_strings_end_at_their_own_mark(self):
        code = code_of('auto s = R"X( throw )" )X"; throw;')
        self.assertEqual(code.count("throw"), 1)


class Layers(unittest.TestCase):
    def test_up_is_allowed_and_down_is_not(self):
        ours = check_layers.fault_of_ours
        self.assertIsNone(ours("detectors/x.cc", "schemas/events.h", layers()))
        self.assertIn("must not include", ours("core/x.cc", "schemas/events.h", layers()))
        self.assertIn("must not include", ours("detectors/x.cc", "streams/bus.h", layers()))
        self.assertIn("must not include", ours("ingest/x.cc", "detectors/detector.h", layers()))

    def test_only_existing_files_from_the_root(self):
        self.assertIn("is not a file", check_layers.fault_of_ours("core/x.cc", "result.h", layers()))

    def test_json_stays_out_of_headers(self):
        ours = check_layers.fault_of_ours
        self.assertIsNone(ours("ingest/x.cc", "schemas/json.h", layers()))
        self.assertIn(".cc files", ours("ingest/x.h", "schemas/json.h", layers()))

    def test_a_library_belongs_to_its_folder(self):
        theirs = check_layers.fault_of_theirs
        self.assertIsNone(theirs("http/x.cc", "boost/beast.hpp", layers()))
        self.assertIn("only http", theirs("core/x.cc", "boost/beast.hpp", layers()))
        self.assertIn("only schemas", theirs("app/x.cc", "snappy.h", layers()))
        self.assertIn("does not know", theirs("core/x.cc", "curl/curl.h", layers()))
        self.assertIsNone(theirs("core/x.cc", "sys/stat.h", layers()))
        self.assertIsNone(theirs("core/x.cc", "fmt/format.h", layers()))
        self.assertIsNone(theirs("tests/x.cc", "catch2/catch.hpp", layers()))

    def test_a_rule_that_names_a_folder_below_is_refused(self):
        with self.assertRaises(SystemExit):
            check_layers.read_rules("core: streams | -\nstreams: core | -\n")


class Functions(unittest.TestCase):
    @staticmethod
    def bodies(text):
        return list(check_style.function_bodies(code_of(text)))

    def test_functions_are_found_in_namespaces_and_classes(self):
        text = "namespace a {\nclass B {\n  void f() {\n    if (x) {\n    }\n  }\n};\n" \
               "Result<int> g(int a)\n{\n}\n}  // namespace a\n"
        self.assertEqual(self.bodies(text), [(3, 6), (9, 10)])

    def test_tables_and_types_are_not_functions(self):
        self.assertEqual(self.bodies("constexpr T kX[] = {\n{1},\n};\nenum class E {\nkA };\n"), [])

    def test_test_cases_are(self):
        self.assertEqual(self.bodies('TEST_CASE("a {", "[b]") {\n\n}\n'), [(1, 3)])


class Style(unittest.TestCase):
    def test_paths_of_one_machine_are_seen(self):
        for text in ("see /ro" + "ot/x", "/wo" + "rk/main", "'/home/" + "ann/x'"):
            self.assertRegex(text, check_style.MACHINE_PATH)
        for text in ("/var/lib/vigie", "a/wo" + "rk/b", "https://x/network", "/workflows"):
            self.assertNotRegex(text, check_style.MACHINE_PATH)

    def test_headings_become_anchors(self):
        self.assertEqual(check_style.slug("What you `see`, now"), "what-you-see-now")


class Others(unittest.TestCase):
    def test_metric_constants_are_read_over_several_lines(self):
        text = 'inline constexpr MetricName kA{\n    "vigie_a_b_total",\n    "One "\n    "two."};'
        self.assertEqual(metrics_doc.constants_of("x/metrics.h", text),
                         [("vigie_a_b_total", "One two.")])
        with self.assertRaises(SystemExit):
            metrics_doc.constants_of("x/metrics.h", 'constexpr auto kA = "vigie_a_total";')

    def test_goals_compare(self):
        self.assertIs(bench.met(5, ">= 5"), True)
        self.assertIs(bench.met(5, "< 5"), False)
        self.assertIsNone(bench.met(5, None))
        with self.assertRaises(SystemExit):
            bench.met(5, "about 5")

    def test_findings_decide_the_exit_code(self):
        findings = Findings("check")
        findings.warn("a", 1, "b")
        self.assertEqual(findings.exit_code(), 0)
        findings.error("a", 1, "b")
        self.assertEqual(findings.exit_code(), 1)

    def test_the_tree_is_listed_without_what_git_ignores(self):
        self.assertIn("core/result.h", files(".h"))
        self.assertFalse([path for path in files() if path.startswith("build/")])


if __name__ == "__main__":
    unittest.main()
