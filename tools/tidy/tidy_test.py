#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every rule of tidy.py: a clean tree passes, and each planted violation is found."""
import os
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tidy  # noqa: E402

SPDX = "// SPDX-License-Identifier: Apache-2.0\n"
HEADER = SPDX + "#pragma once\n#include <cstddef>\n"
CLEAN = {
    "include/rondo/base/result.hpp": HEADER,
    "include/rondo/io/driver.hpp": HEADER + '#include "rondo/base/result.hpp"\n',
    "include/rondo/rondo.hpp": HEADER + '#include "rondo/io/driver.hpp"\n',
    "src/base/result.cpp": SPDX + '#include "rondo/base/result.hpp"\n',
    "src/io/factory.cpp": SPDX + '#include "io/uring/ring.hpp"\n',
    "src/io/uring/ring.hpp": HEADER + "#include <liburing.h>\n",
    "ARCHITECTURE.md": "```house\ninclude\ninclude/rondo: rondo\ninclude/rondo/base: result\n"
                       "include/rondo/io: driver\nsrc\nsrc/base\nsrc/io\nsrc/io/uring - a driver\n```\n",
}


class TidyTest(unittest.TestCase):
    def setUp(self):
        self.root = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.root)
        for path, text in CLEAN.items():
            self.write(path, text)

    def write(self, path, text):
        full = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as f:
            f.write(text)

    def found(self, rule):
        tree = tidy.Tree(self.root)
        return [what for _, _, what in tidy.RULES[rule](tree)]

    def assert_finds(self, rule, part):
        found = self.found(rule)
        self.assertTrue(any(part in what for what in found), f"{rule} did not find '{part}': {found}")

    def test_a_clean_tree_passes_every_rule(self):
        for rule in tidy.RULES:
            self.assertEqual(self.found(rule), [], rule)

    def test_an_include_upwards_is_found(self):
        self.write("include/rondo/base/bad.hpp", HEADER + '#include "rondo/io/driver.hpp"\n')
        self.assert_finds("layers", "base may not include io")

    def test_a_driver_that_includes_another_driver_is_found(self):
        self.write("src/io/epoll/poller.cpp", SPDX + '#include "io/uring/ring.hpp"\n')
        self.assert_finds("layers", "io/epoll may not include io/uring")

    def test_only_the_factory_names_a_driver(self):
        self.write("src/io/other.cpp", SPDX + '#include "io/uring/ring.hpp"\n')
        self.assert_finds("layers", "io may not include io/uring")

    def test_a_private_header_in_an_app_is_found(self):
        self.write("apps/chat/server/x.cpp", SPDX + '#include "io/uring/ring.hpp"\n')
        self.assert_finds("layers", "apps may not include io/uring")

    def test_the_testing_layer_is_not_for_apps(self):
        self.write("include/rondo/testing/sim_loop.hpp", HEADER)
        self.write("apps/chat/server/x.cpp", SPDX + '#include "rondo/testing/sim_loop.hpp"\n')
        self.assert_finds("layers", "apps may not include testing")

    def test_rondo_sim_may_use_the_testing_layer(self):
        self.write("include/rondo/testing/sim_loop.hpp", HEADER)
        self.write("apps/sim/main.cpp", SPDX + '#include "rondo/testing/sim_loop.hpp"\n')
        self.assertEqual(self.found("layers"), [])

    def test_a_layer_without_a_rule_is_found(self):
        self.write("src/magic/x.cpp", SPDX)
        self.assert_finds("layers", "'magic' is not in")

    def test_a_system_header_outside_its_place_is_found(self):
        self.write("src/core/loop.cpp", SPDX + "#include <sys/epoll.h>\n")
        self.assert_finds("layers", "<sys/epoll.h> belongs to io/epoll")

    def test_an_include_cycle_is_found(self):
        self.write("src/base/a.hpp", HEADER + '#include "base/b.hpp"\n')
        self.write("src/base/b.hpp", HEADER + '#include "base/a.hpp"\n')
        self.assert_finds("cycles", "include cycle")

    def test_a_third_party_header_in_a_public_header_is_found(self):
        self.write("include/rondo/base/bad.hpp", HEADER + "#include <openssl/ssl.h>\n")
        self.assert_finds("public-headers", "system or third-party")

    def test_a_heavy_standard_header_in_a_public_header_is_found(self):
        self.write("include/rondo/base/bad.hpp", HEADER + "#include <functional>\n")
        self.assert_finds("public-headers", "too heavy")

    def test_a_private_include_in_a_public_header_is_found(self):
        self.write("include/rondo/base/bad.hpp", HEADER + '#include "io/uring/ring.hpp"\n')
        self.assert_finds("public-headers", 'include each other as "rondo/..."')

    def test_a_public_header_without_pragma_once_is_found(self):
        self.write("include/rondo/base/bad.hpp", SPDX)
        self.assert_finds("public-headers", "#pragma once")

    def test_a_long_file_is_found(self):
        self.write("src/base/long.cpp", SPDX + "\n" * 1000)
        self.assert_finds("sizes", "the wall is 1000")

    def test_the_loop_file_has_a_lower_wall(self):
        self.write("src/core/loop.cpp", SPDX + "\n" * 500)
        self.assert_finds("sizes", "the wall is 500")

    def test_a_long_function_is_found_and_its_class_is_not(self):
        body = "  x();\n" * 70
        self.write("src/base/f.cpp", SPDX + "class C {\n  void a() { x(); }\n" + "  int m;\n" * 90 + "};\n")
        self.assertEqual(self.found("sizes"), [])
        self.write("src/base/f.cpp", SPDX + "void C::f(int a) const {\n" + body + "}\n")
        self.assert_finds("sizes", "a function of 72 lines")

    def test_a_lambda_counts_to_the_function_around_it(self):
        body = "  auto f = [&](int a) {\n" + "    x();\n" * 70 + "  };\n"
        self.write("src/base/f.cpp", SPDX + "void g() {\n" + body + "}\n")
        self.assert_finds("sizes", "a function of")

    def test_a_long_test_case_is_found(self):
        self.write("tests/unit/base/f_test.cpp", SPDX + "TEST(A, B) {\n" + "  x();\n" * 70 + "}\n")
        self.assert_finds("sizes", "a function of 72 lines")

    def test_braces_in_strings_and_comments_do_not_count(self):
        self.write("src/base/f.cpp", SPDX + "void a() {\n  f(\"{\");  // {\n  g('{');\n}\n" + "int x;\n" * 80)
        self.assertEqual(self.found("sizes"), [])

    def test_a_long_line_is_found(self):
        self.write("src/base/f.cpp", SPDX + "int " + "x" * 100 + ";\n")
        self.assert_finds("sizes", "columns")

    def test_many_parameters_are_a_warning(self):
        self.write("src/base/f.cpp", SPDX + "void f(int a, int b, std::map<int, int> c, int d, int e) {\n}\n")
        found = [what for _, _, what in tidy.warn_parameters(tidy.Tree(self.root))]
        self.assertEqual(found, ["5 parameters; over 4 an options struct reads better"])

    def test_banned_words_are_found(self):
        for words in ("// TO" "DO: later", "see .." "/shared/design", "/wo" "rk/main", "we kill" " a task",
                      "https://registry." "npmjs.org/x"):
            self.write("docs/x.md", words + "\n")
            self.assertEqual(len(self.found("words")), 1, words)

    def test_a_link_to_nowhere_and_to_a_header_without_the_name_is_found(self):
        self.write("docs/a.md", "[b](b.md) [`Thing<T>`](../include/rondo/base/t.hpp) [c](https://c.org)\n")
        self.write("include/rondo/base/t.hpp", HEADER)
        found = self.found("links")
        self.assertEqual(len(found), 2)
        self.assertIn("b.md is linked and not there", found[0])
        self.assertIn("knows no Thing", found[1])

    def test_a_missing_spdx_line_is_found(self):
        self.write("src/base/x.cpp", "int x;\n")
        self.assert_finds("spdx", "SPDX")

    def test_a_link_to_a_heading_that_is_gone_is_found(self):
        self.write("docs/a.md", "# A `b`, c\n[here](#a-b-c)\n")
        self.write("docs/b.md", "[there](a.md#a-b-c)\n")
        self.assertEqual(self.found("headings"), [])
        self.write("docs/b.md", "[there](a.md#d)\n")
        self.assert_finds("headings", "a.md has no heading for #d")

    def test_a_header_that_is_not_listed_is_found(self):
        self.write("include/rondo/base/more.hpp", HEADER)
        self.assert_finds("listing", "base/more.hpp is in the tree but not listed")

    def test_a_listed_header_that_is_gone_is_found(self):
        os.rename(os.path.join(self.root, "include/rondo/io/driver.hpp"),
                  os.path.join(self.root, "include/rondo/io/motor.hpp"))
        self.assert_finds("listing", "io/driver.hpp is listed but not in the tree")

    def test_a_listed_folder_that_is_gone_is_found(self):
        shutil.rmtree(os.path.join(self.root, "src/io/uring"))
        self.assert_finds("listing", "src/io/uring is listed but not in the tree")

    def test_a_folder_that_is_not_listed_is_found(self):
        self.write("src/io/kqueue/x.cpp", SPDX)
        self.assert_finds("listing", "src/io/kqueue/ is in the tree but not listed")

    def test_write_listing_mends_the_listing_and_keeps_comments(self):
        self.write("include/rondo/base/more.hpp", HEADER)
        tidy.write_listing(tidy.Tree(self.root))
        self.assertEqual(self.found("listing"), [])
        with open(os.path.join(self.root, "ARCHITECTURE.md"), encoding="utf-8") as f:
            text = f.read()
        self.assertIn("include/rondo/base: more result\n", text)
        self.assertIn("src/io/uring - a driver\n", text)

    def test_a_heavy_header_is_found_once_preprocessed(self):
        self.write("include/rondo/base/big.hpp", HEADER + "int x;\n" * 46_000)
        found = [what for _, _, what in tidy.rule_preprocessed(tidy.Tree(self.root), "clang++-19")]
        self.assertEqual(len(found), 1)
        self.assertIn("the limit is 46000", found[0])

    def test_a_header_that_does_not_preprocess_is_found(self):
        self.write("include/rondo/base/big.hpp", HEADER + '#include "rondo/none.hpp"\n')
        found = [what for _, _, what in tidy.rule_preprocessed(tidy.Tree(self.root), "clang++-19")]
        self.assertTrue(any("does not preprocess" in what for what in found))


if __name__ == "__main__":
    result = unittest.main(exit=False, verbosity=0).result
    bad = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - bad} passed, {bad} failed")
    sys.exit(1 if bad or not result.testsRun else 0)
