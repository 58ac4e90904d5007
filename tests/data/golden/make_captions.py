#!/usr/bin/env python3
"""captions.json of tests/data/captions_test.cpp: 100 captions as people type them, from a small grammar with a fixed
seed, their words by NLTK's NLTKWordTokenizer (3.10), and vocabulary and ids counted here.

    python3 make_captions.py                    # writes captions.json
    python3 make_captions.py CAPTIONS[.gz]      # of a real file: the figures that captions_test.cpp compares
"""
import gzip
import json
import random
import sys
import zlib
from pathlib import Path

import numpy as np
from nltk.tokenize.destructive import NLTKWordTokenizer

LENGTH, RARE = 32, 3
STARTS = ["this bird has", "the bird is", "a small bird with", "it's a bird with", "this is an odd-looking bird, with",
          "The bird's head has", "birds (like this one) have", '"large" bird:', "a bird that can't fly; it's got",
          "i'd say it is", "this guy's gonna have", "the 'white' bird has", "approx. 5.5 inches;", "there's", "it cannot hide"]
PARTS = ["a white crown", "grey & brown wings", "a black/orange bill", "an off-white breast", "a long, curved beak",
         "wings w/ 2 wingbars", "a 1/2 black tail", "the tail's tip", "rust-colored secondaries", "feet (yellow)",
         "a \"mask\" around its eyes", "dark eyes...", "a beak that doesn't curve", "1,000 speckles", "no wingbars at all",
         "a ring of white -- or grey -- feathers", "what I'd call a crest", "webbed feet", "[unclear] legs", "10% white"]
LINKS = [" and ", ", ", ", and ", " with ", "; ", " - ", ". ", ", it has ", " while it's got ", " -- "]
ENDS = [".", ".", ".", "", "!", "...", " .", "?", ".)", '."', "..", ".  ", "' ", ",", ":"]


def made(count=100):
    random.seed(17)
    captions = []
    for _ in range(count):
        text = random.choice(STARTS) + " " + random.choice(PARTS)
        for _ in range(random.randint(0, 6)):
            text += random.choice(LINKS) + random.choice(PARTS)
        captions.append(text + random.choice(ENDS))
    return captions


def vocabulary(words):
    counts = {}
    for line in words:
        for word in line:
            counts[word] = counts.get(word, 0) + 1
    return ["<exc>", "<pad>", "<eos>"] + [word for word, n in counts.items() if n > RARE]


def encode(words, names):
    ids = {word: i for i, word in enumerate(names)}
    return [([ids.get(w, 0) for w in line[:LENGTH - 1]] + [2] + [1] * LENGTH)[:LENGTH] for line in words]


def main():
    tokenizer = NLTKWordTokenizer()
    if len(sys.argv) > 1:
        raw = Path(sys.argv[1]).read_bytes()
        lines = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode().splitlines()
        words = [tokenizer.tokenize(line) for line in lines]
        names = vocabulary(words)
        ids = np.array(encode(words, names), dtype="<i4")
        crc = zlib.crc32("\n".join(names).encode())
        print(f"{len(lines)} captions, {sum(map(len, words))} words, {len(names)} names (CRC-32 {crc:08x}), "
              f"CRC-32 of the ids {zlib.crc32(ids.tobytes()):08x}")
        return
    lines = made()
    words = [tokenizer.tokenize(line) for line in lines]
    names = vocabulary(words)
    golden = {"captions": lines, "words": words, "vocabulary": names, "ids": encode(words, names)}
    with open(Path(__file__).with_name("captions.json"), "w") as file:
        file.write("{\n" + ",\n".join(
            f'"{key}": [\n' + ",\n".join(json.dumps(value) for value in golden[key]) + "\n]" for key in golden) + "\n}\n")


if __name__ == "__main__":
    main()
