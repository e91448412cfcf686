#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fails where the tree breaks the house rules; standard library only.

    tidy.py [--root DIR]             layers, cycles, public headers, sizes, words, links, SPDX, listing
    tidy.py --headers [--cxx CXX]    preprocessed size of every public header

Prints one line a finding (file:line: rule: what), then `N passed, N failed` over the rules.
The rules: layers.txt and banned.txt beside this file, STYLE.md, ARCHITECTURE.md.
"""
import argparse
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
SKIPPED_FOLDERS = {".git", "build", "node_modules", "dist", "data", "__pycache__", ".cache", ".tests"}
CPP = (".cpp", ".hpp")
SPDX_NEEDED = (".cpp", ".hpp", ".h", ".py", ".cmake", ".S", ".c")
TEXT = CPP + (".h", ".c", ".py", ".cmake", ".txt", ".md", ".ts", ".tsx", ".js", ".mjs", ".css", ".html",
              ".json", ".sh", ".toml", ".yml", ".go", ".rs", ".lua", ".in", "")
FILE_LINES, LOOP_LINES, FUNCTION_LINES, COLUMNS, PARAMETERS = 1000, 500, 70, 100, 4
UMBRELLA_LINES, HEADER_LINES = 70_000, 46_000
# Taken from elsewhere with the comparison they belong to; kept as they were measured.
FOREIGN = ("bench/peers/",)
PUBLIC_STD_BANNED = {"functional", "thread", "iostream", "regex", "format", "print", "generator",
                     "fstream", "future", "memory"}  # memory: base/memory.hpp
STD = set("""algorithm any array atomic barrier bit bitset cassert cctype cerrno cfenv cfloat charconv chrono
cinttypes climits clocale cmath codecvt compare complex concepts condition_variable coroutine csetjmp csignal cstdarg
cstddef cstdint cstdio cstdlib cstring ctime cuchar cwchar cwctype deque exception execution expected filesystem
format forward_list fstream functional future generator initializer_list iomanip ios iosfwd iostream istream iterator
latch limits list locale map memory memory_resource mutex new numbers numeric optional ostream print queue random
ranges ratio regex scoped_allocator semaphore set shared_mutex source_location span spanstream sstream stack
stacktrace stdexcept stop_token streambuf string string_view strstream syncstream system_error thread tuple
type_traits typeindex typeinfo unordered_map unordered_set utility valarray variant vector version""".split())


class Tree:
    """The project's files: relative path -> text. Read once, shared by all rules."""

    def __init__(self, root):
        self.root = root
        self.files = {}
        self.folders = set()
        for folder, names, files in os.walk(root):
            names[:] = sorted(n for n in names if n not in SKIPPED_FOLDERS)
            relative = os.path.relpath(folder, root)
            for name in sorted(files):
                if name == ".git":  # A linked worktree's.
                    continue
                path = os.path.normpath(os.path.join(relative, name))
                self.files[path] = None
                # A folder without a file is not in the repository.
                while path := os.path.dirname(path):
                    self.folders.add(path)

    def text(self, path):
        if self.files[path] is None:
            with open(os.path.join(self.root, path), encoding="utf-8", errors="replace") as f:
                self.files[path] = f.read()
        return self.files[path]

    def paths(self, endings, under=("",)):
        return [p for p in self.files
                if os.path.splitext(p)[1] in endings and p.startswith(tuple(under))]


# --- layers -----------------------------------------------------------------------------------

def read_layers(path):
    layers, factory, only = {}, set(), []
    with open(path, encoding="utf-8") as f:
        for line in f:
            line = line.split("#", 1)[0].strip()
            if not line:
                continue
            key, _, value = line.partition(":")
            if key.startswith("only "):
                only.append((key[5:], set(value.split())))
            elif key == "factory":
                factory = set(value.split())
            else:
                layers[key] = set(value.split())
    return layers, factory, only


def layer_of(path):
    parts = path.split("/")
    if path.startswith("include/rondo/"):
        return parts[2] if len(parts) > 3 else "umbrella"
    if path.startswith("src/"):
        if parts[1] == "io" and len(parts) > 3:
            return "io/" + parts[2]
        return parts[1]
    if "tests" in parts:
        return "tests"
    return parts[0] if parts[0] in ("adapters", "apps", "bench", "examples") else None


def includes(text):
    """(line number, name, is_quoted) of every #include outside comments."""
    for number, line in enumerate(text.splitlines(), 1):
        m = re.match(r'\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)', line)
        if m:
            yield number, m.group(1) or m.group(2), m.group(1) is not None


def resolve(tree, path, name):
    """The file of this tree that an include names, or None."""
    for base in (os.path.dirname(path), "include", "src", "apps", "adapters", "tests/support", ""):
        candidate = os.path.normpath(os.path.join(base, name))
        if candidate in tree.files:
            return candidate
    m = re.match(r"rondo/(\w+)/", name)
    if m:
        candidate = f"adapters/{m.group(1)}/include/{name}"
        if candidate in tree.files:
            return candidate
    return None


def is_allowed(layers, here, there, target):
    allowed = layers[here]
    if there == here or "anything" in allowed or there in allowed:
        return True
    if here.startswith("io/") and there == "io":
        return True
    is_public = target.startswith("include/rondo/") and there != "testing"
    return "public" in allowed and is_public


def rule_layers(tree):
    layers, factory, only = read_layers(os.path.join(HERE, "layers.txt"))
    for path in tree.paths(CPP):
        here = layer_of(path)
        if here is None or path.startswith(FOREIGN):
            continue
        if here not in layers:
            yield path, 1, f"layer '{here}' is not in tools/tidy/layers.txt"
            continue
        for line, name, _ in includes(tree.text(path)):
            target = resolve(tree, path, name)
            if target is None:
                yield from outside_include(only, path, line, here, name)
                continue
            there = layer_of(target)
            if there is None or path in factory and there.startswith("io/"):
                continue
            # rondo-sim alone runs whole programs in a simulation, SQLite's files included.
            if path.startswith("apps/sim/") and (there == "testing" or target.endswith("/sim_vfs.hpp")):
                continue
            if not is_allowed(layers, here, there, target):
                yield path, line, f"{here} may not include {there} ({name})"


def outside_include(only, path, line, here, name):
    if here == "tests" or name in STD:
        return
    for prefix, owners in only:
        if name.startswith(prefix) and here not in owners:
            yield path, line, f"<{name}> belongs to {', '.join(sorted(owners))}, not to {here}"


def rule_cycles(tree):
    graph = {}
    for path in tree.paths(CPP):
        if not path.startswith(FOREIGN):
            found = (resolve(tree, path, name) for _, name, _ in includes(tree.text(path)))
            graph[path] = [t for t in found if t and t != path]
    state = {}
    for start in graph:
        stack = [(start, iter(graph[start]))] if start not in state else []
        state.setdefault(start, "open")
        while stack:
            node, rest = stack[-1]
            nxt = next(rest, None)
            if nxt is None:
                state[node] = "done"
                stack.pop()
            elif state.get(nxt) == "open":
                names = [n for n, _ in stack]
                yield node, 1, "include cycle: " + " -> ".join(names[names.index(nxt):] + [nxt])
            elif nxt not in state and nxt in graph:
                state[nxt] = "open"
                stack.append((nxt, iter(graph[nxt])))


def rule_public_headers(tree):
    for path in tree.paths((".hpp",), ("include/rondo/",)):
        for line, name, quoted in includes(tree.text(path)):
            if name.startswith("rondo/"):
                continue
            if quoted:
                yield path, line, f'"{name}": public headers include each other as "rondo/..."'
            elif name not in STD:
                yield path, line, f"<{name}> is a system or third-party header"
            elif name in PUBLIC_STD_BANNED:
                yield path, line, f"<{name}> is too heavy for a public header"
        if "#pragma once" not in tree.text(path):
            yield path, 1, "#pragma once is missing"


# --- sizes ------------------------------------------------------------------------------------

def strip_code(text):
    """The text with comments, strings and characters blanked, line structure kept."""
    pattern = re.compile(
        r'//[^\n]*|/\*.*?\*/|R"([^()\s]*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])\'(?:\\.|[^\'\\\n])+\'', re.S)
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m.group(0)), text)


NOT_FUNCTIONS = re.compile(r"^\s*(namespace|class|struct|union|enum|extern|export)\b")
CALL_LIKE = re.compile(r"[\w>\])]\s*\(|\]\s*(\(|\{|mutable|->)|operator")


def functions(text):
    """(first line, lines, parameters) of every function body, lambdas inside count to their owner."""
    code = strip_code(text)
    code = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda m: re.sub(r"[^\n]", " ", m.group(0)), code, flags=re.M)
    depth_kinds, head, line = [], [], 1
    head_line = 1
    for c in code:
        if c == "\n":
            line += 1
        if c == "{":
            text_head = "".join(head).strip()
            inside = any(kind == "function" for kind, *_ in depth_kinds)
            scope = bool(NOT_FUNCTIONS.match(re.sub(r"^(template\s*<.*?>\s*(requires[^;]*?)?)+", "", text_head, flags=re.S)))
            if inside or scope or not CALL_LIKE.search(text_head) or text_head.endswith("="):
                depth_kinds.append(("other", line, 0))
            else:
                depth_kinds.append(("function", head_line, count_parameters(text_head)))
            head = []
        elif c == "}":
            if depth_kinds:
                kind, first, parameters = depth_kinds.pop()
                if kind == "function":
                    yield first, line - first + 1, parameters
            head = []
        elif c == ";":
            head = []
        else:
            if not head and not c.isspace():
                head_line = line
            if head or not c.isspace():
                head.append(c)


def count_parameters(head):
    m = re.search(r"[\w\])>~]\s*\(", head)
    if not m:
        return 0
    depth, count, seen = 0, 0, False
    for c in head[m.end() - 1:]:
        if c in "(<[{":
            depth += 1
        elif c in ")>]}":
            depth -= 1
            if depth == 0:
                break
        elif c == "," and depth == 1:
            count += 1
        elif not c.isspace():
            seen = True
    return count + 1 if seen else 0


def rule_sizes(tree):
    ours = [p for p in tree.paths(CPP + (".ts", ".tsx", ".py")) if not p.startswith(FOREIGN)]
    for path in ours:
        text = tree.text(path)
        lines = text.splitlines()
        wall = LOOP_LINES if os.path.basename(path) == "loop.cpp" else FILE_LINES
        if len(lines) > wall:
            yield path, wall, f"{len(lines)} lines; the wall is {wall}"
        if not path.endswith(CPP):
            continue
        for number, content in enumerate(lines, 1):
            if len(content) > COLUMNS and "http" not in content and "#include" not in content:
                yield path, number, f"{len(content)} columns; the wall is {COLUMNS}"
        for first, count, _ in functions(text):
            if count > FUNCTION_LINES:
                yield path, first, f"a function of {count} lines; the wall is {FUNCTION_LINES}"


def warn_parameters(tree):
    for path in tree.paths(CPP, ("include/", "src/", "adapters/", "apps/")):
        for first, _, parameters in functions(tree.text(path)):
            if parameters > PARAMETERS:
                yield path, first, f"{parameters} parameters; over {PARAMETERS} an options struct reads better"


# --- words, licences, documents ---------------------------------------------------------------

def read_banned(path):
    with open(path, encoding="utf-8") as f:
        for line in f:
            if line.strip() and not line.startswith("#"):
                pattern, _, why = line.rstrip("\n").partition("\t")
                yield re.compile(pattern), why


def rule_words(tree):
    rules = list(read_banned(os.path.join(HERE, "banned.txt")))
    for path in tree.paths(TEXT):
        if path.startswith("tools/tidy/") or path.startswith(FOREIGN) and path.endswith(".rs"):
            continue
        for number, line in enumerate(tree.text(path).splitlines(), 1):
            for pattern, why in rules:
                m = pattern.search(line)
                if m:
                    yield path, number, f"'{m.group(0)}': {why}"


LINK = re.compile(r"\[([^\]]*)\]\(([^)\s#]+)(?:#[^)\s]*)?\)")


def named_in(text):
    """The last identifiers of `a::b<T>`, `c(x)`, `d, e` in a link's text."""
    for quoted in re.findall(r"`([^`]+)`", text):
        for word in re.split(r"[,\s]+", quoted):
            name = re.split(r"[<({\"]", word)[0].split("::")[-1]
            if re.fullmatch(r"[A-Za-z_]\w*", name):
                yield name


def rule_links(tree):
    """A document's links lead somewhere, and a header that is linked has the names in the link."""
    for path in tree.paths((".md",)):
        fenced = False
        for number, line in enumerate(tree.text(path).splitlines(), 1):
            fenced ^= line.startswith("```")
            for text, target in [] if fenced else LINK.findall(line):
                if "://" in target or target.startswith("mailto:"):
                    continue
                to = os.path.normpath(os.path.join(os.path.dirname(path), target))
                if to not in tree.files and to not in tree.folders:
                    yield path, number, f"{target} is linked and not there"
                elif to.endswith(".hpp"):
                    for name in named_in(text):
                        if not re.search(rf"\b{name}\b", tree.text(to)):
                            yield path, number, f"{to} knows no {name}"


def rule_spdx(tree):
    for path in tree.files:
        is_code = os.path.splitext(path)[1] in SPDX_NEEDED or os.path.basename(path) == "CMakeLists.txt"
        if is_code and not path.startswith(FOREIGN):
            head = "\n".join(tree.text(path).splitlines()[:2])
            if "SPDX-License-Identifier: Apache-2.0" not in head:
                yield path, 1, "the SPDX line is missing at the top"


def house_listing(text):
    """{folder: names or None} from the ```house block of ARCHITECTURE.md.

    A line `include/rondo/base/: assert bytes` lists all headers of a folder; a line with a
    folder alone only claims that it exists.
    """
    m = re.search(r"```house\n(.*?)```", text, re.S)
    if not m:
        return None
    listing = {}
    for line in m.group(1).splitlines():
        line = line.split(" - ", 1)[0].rstrip()
        if line.strip():
            folder, _, names = line.strip().partition(":")
            listing[folder.rstrip("/")] = set(names.split()) if names.strip() else None
    return listing


def rule_listing(tree):
    doc = "ARCHITECTURE.md"
    if doc not in tree.files:
        yield doc, 1, "ARCHITECTURE.md is missing"
        return
    listing = house_listing(tree.text(doc))
    if listing is None:
        yield doc, 1, "the ```house block is missing"
        return
    for folder, names in listing.items():
        if folder not in tree.folders and folder not in tree.files:
            yield doc, 1, f"{folder} is listed but not in the tree"
        elif names is not None:
            found = {os.path.splitext(os.path.basename(p))[0] for p in tree.paths((".hpp",), (folder + "/",))
                     if os.path.dirname(p) == folder}
            for name in sorted(names - found):
                yield doc, 1, f"{folder}/{name}.hpp is listed but not in the tree"
            for name in sorted(found - names):
                yield doc, 1, f"{folder}/{name}.hpp is in the tree but not listed"
    for folder in sorted(tree.folders):
        depth = folder.count("/")
        wanted = (depth == 0 and not folder.startswith(".")
                  or depth == 1 and folder.split("/")[0] in ("src", "adapters", "apps", "tests", "bench", "docs")
                  or re.fullmatch(r"include/rondo/\w+|src/io/\w+", folder))
        if wanted and folder not in listing and any(p.startswith(folder + "/") for p in tree.files):
            yield doc, 1, f"{folder}/ is in the tree but not listed"


def headings(text):
    """What a document's headings are called in links to them."""
    heads = re.findall(r"^#+ +(.+?)\s*$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def rule_headings(tree):
    for path in tree.paths((".md",)):
        text = re.sub(r"^```.*?^```", lambda m: re.sub(r"[^\n]", " ", m.group(0)), tree.text(path), flags=re.M | re.S)
        for m in re.finditer(r"\]\(([^)\s#:]*)#([^)\s]+)\)", text):
            there = os.path.normpath(os.path.join(os.path.dirname(path), m.group(1))) if m.group(1) else path
            if there in tree.files and there.endswith(".md") and m.group(2) not in headings(tree.text(there)):
                line = text.count("\n", 0, m.start()) + 1
                yield path, line, f"{there} has no heading for #{m.group(2)}"


def write_listing(tree):
    """Brings the ```house block up to date: header names filled in, comments kept."""
    path = os.path.join(tree.root, "ARCHITECTURE.md")
    text = tree.text("ARCHITECTURE.md")
    lines = re.search(r"```house\n(.*?)```", text, re.S).group(1).splitlines()
    done = []
    for line in lines:
        entry, _, comment = line.partition(" - ")
        folder = entry.split(":", 1)[0].strip().rstrip("/")
        names = sorted(os.path.splitext(os.path.basename(p))[0] for p in tree.paths((".hpp",), (folder + "/",))
                       if os.path.dirname(p) == folder and folder.startswith("include/"))
        if folder in tree.folders or folder in tree.files:
            done.append(folder + (": " + " ".join(names) if names else "") + (" - " + comment if comment else ""))
    with open(path, "w", encoding="utf-8") as f:
        f.write(re.sub(r"```house\n.*?```", lambda _: "```house\n" + "\n".join(done) + "\n```", text, flags=re.S))


# --- preprocessed sizes -----------------------------------------------------------------------

def rule_preprocessed(tree, cxx):
    headers = tree.paths((".hpp",), ("include/rondo/",))

    def measure(path):
        run = subprocess.run([cxx, "-std=c++23", "-E", "-P", "-x", "c++", "-I", os.path.join(tree.root, "include"),
                              os.path.join(tree.root, path)], capture_output=True, text=True, timeout=120)
        if run.returncode:
            return path, None, run.stderr.strip().splitlines()[:1]
        return path, sum(1 for line in run.stdout.splitlines() if line.strip()), None

    with ThreadPoolExecutor(2) as pool:
        for path, lines, error in pool.map(measure, headers):
            limit = UMBRELLA_LINES if path == "include/rondo/rondo.hpp" else HEADER_LINES
            if error:
                yield path, 1, f"does not preprocess: {error[0]}"
            elif lines > limit:
                yield path, 1, f"{lines} lines once preprocessed; the limit is {limit}"


RULES = {"layers": rule_layers, "cycles": rule_cycles, "public-headers": rule_public_headers,
         "sizes": rule_sizes, "words": rule_words, "links": rule_links, "spdx": rule_spdx, "listing": rule_listing,
         "headings": rule_headings}


def run_rules(tree, rules):
    failed = 0
    for name, rule in rules.items():
        found = sorted(set(rule(tree)))
        failed += bool(found)
        for path, line, what in found:
            print(f"{path}:{line}: {name}: {what}")
    print(f"{len(rules) - failed} passed, {failed} failed")
    return failed


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--root", default=os.path.dirname(os.path.dirname(HERE)))
    parser.add_argument("--headers", action="store_true")
    parser.add_argument("--cxx", default="clang++-19")
    parser.add_argument("--warn", action="store_true", help="also what only asks a question")
    parser.add_argument("--write-listing", action="store_true", help="update ARCHITECTURE.md's listing")
    args = parser.parse_args()
    tree = Tree(args.root)
    if args.write_listing:
        write_listing(tree)
        tree = Tree(args.root)
    if args.warn:
        for path, line, what in warn_parameters(tree):
            print(f"{path}:{line}: warning: {what}")
    rules = {"preprocessed": lambda t: rule_preprocessed(t, args.cxx)} if args.headers else RULES
    sys.exit(1 if run_rules(tree, rules) else 0)


if __name__ == "__main__":
    main()
