"""Writes unicode_ranges.h from Python's unicodedata: the letters, the numbers and the lower-case map of CLIP's
tokenizer. Run at the top of the tree: python3 tools/make_unicode_ranges.py
"""

import sys
import unicodedata

WIDTH = 110


def ranges(wanted):
    found = []
    for code in range(0x110000):
        if unicodedata.category(chr(code))[0] != wanted:
            continue
        if found and found[-1][1] == code - 1:
            found[-1][1] = code
        else:
            found.append([code, code])
    return found


def lower_runs():
    """[first, last, step, shift]; 'I' with a dot, the only one that becomes two letters, is left to the code."""
    runs = []
    for code in range(0x110000):
        lower = chr(code).lower()
        if len(lower) != 1 or lower == chr(code):
            continue
        shift = ord(lower) - code
        if runs:
            first, last, step, same = runs[-1]
            if same == shift and code - last in (1, 2) and (first == last or step == code - last):
                runs[-1] = [first, code, code - last, shift]
                continue
        runs.append([code, code, 1, shift])
    return runs


def table(kind, name, rows, formatted):
    out, line = f"inline constexpr {kind} {name}[] = {{\n", "   "
    for row in rows:
        cell = " " + formatted(row) + ","
        if len(line) + len(cell) > WIDTH:
            out, line = out + line + "\n", "   "
        line += cell
    return out + line.rstrip(",") + "};\n"


text = f"""// The general categories L and N and the one-to-one lower-case map of Unicode {unicodedata.unidata_version}, made by
// tools/make_unicode_ranges.py.
#pragma once

namespace mld::unicode {{

struct Range {{
  char32_t first, last;
}};
struct LowerRun {{  // first, first + step, ..., last become lower case by adding shift
  char32_t first, last;
  int step, shift;
}};

// clang-format off
"""
pair = lambda r: "{0x%x,0x%x}" % tuple(r)
text += table("Range", "kLetters", ranges("L"), pair) + "\n"
text += table("Range", "kNumbers", ranges("N"), pair) + "\n"
text += table("LowerRun", "kLower", lower_runs(), lambda r: "{0x%x,0x%x,%d,%d}" % tuple(r))
text += "// clang-format on\n\n}  // namespace mld::unicode\n"
open("mld/evaluate/networks/unicode_ranges.h", "w", encoding="ascii").write(text)
print(len(text), "bytes", file=sys.stderr)
