#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/check counts what test programs print, and lets nothing pass that did not run."""
import contextlib
import importlib.machinery
import importlib.util
import io
import os
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
loader = importlib.machinery.SourceFileLoader("check", os.path.join(ROOT, "tools", "check"))
sys.dont_write_bytecode = True
check = importlib.util.module_from_spec(importlib.util.spec_from_loader("check", loader))
loader.exec_module(check)


class CheckTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        check.LOGS = self.folder.name

    def stage(self, function):
        with contextlib.redirect_stdout(io.StringIO()) as said:
            stage = check.run_stage("probe", function)
        return stage, said.getvalue()

    def test_googletest_is_counted(self):
        self.assertEqual(check.count("[==========] 64 tests from 1 test suite ran. (9 ms total)\n[  PASSED  ] 64 tests."), (64, 0))

    def test_a_googletest_that_failed_or_was_skipped_has_failed(self):
        self.assertEqual(check.count("[==========] 3 tests from 1 test suite ran. (9 ms total)\n[  PASSED  ] 1 test."), (1, 2))

    def test_nodes_runner_is_counted(self):
        self.assertEqual(check.count("# pass 7\n# fail 1\n# cancelled 0\n# skipped 1\n# todo 0"), (7, 2))
        self.assertEqual(check.count("ℹ pass 7\nℹ fail 0"), (7, 0))

    def test_the_plain_line_is_counted(self):
        self.assertEqual(check.count("noise\n12 passed, 3 failed\n"), (12, 3))

    def test_a_status_without_a_failed_case_is_a_failure(self):
        stage, said = self.stage(lambda s: s.cases(["bash", "-c", "echo 2 passed, 0 failed; exit 3"]))
        self.assertEqual((stage.passed, stage.failed), (2, 1))
        self.assertIn("status 3", said)

    def test_a_program_that_runs_no_test_is_a_failure(self):
        stage, _ = self.stage(lambda s: s.cases(["true"]))
        self.assertEqual((stage.passed, stage.failed), (0, 1))

    def test_a_program_that_does_not_end_is_a_failure(self):
        stage, said = self.stage(lambda s: s.cases(["sleep", "60"], seconds=0.2))
        self.assertEqual(stage.failed, 1)
        self.assertIn("did not end in time", said)

    def test_what_went_wrong_is_shown_wherever_it_stands_in_the_log(self):
        log = ["quiet"] * 50 + ["tests/x_test.cpp:7: Failure", "Expected: 1"] + ["quiet"] * 50
        self.assertEqual(check.telling(log)[2:4], ["tests/x_test.cpp:7: Failure", "Expected: 1"])
        self.assertEqual(check.telling(["quiet"] * 50), ["quiet"] * 30)

    def test_a_missing_program_is_a_failure(self):
        stage, _ = self.stage(lambda s: s.cases([os.path.join(self.folder.name, "none")]))
        self.assertEqual(stage.failed, 1)

    def test_a_stage_without_anything_to_run_is_a_failure(self):
        stage, said = self.stage(lambda s: None)
        self.assertEqual(stage.failed, 1)
        self.assertIn("nothing to run", said)

    def test_a_broken_stage_is_a_failure(self):
        stage, _ = self.stage(lambda s: 1 / 0)
        self.assertEqual(stage.failed, 1)


if __name__ == "__main__":
    result = unittest.main(exit=False, verbosity=0).result
    bad = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - bad} passed, {bad} failed")
    sys.exit(1 if bad or not result.testsRun else 0)
