#!/usr/bin/env python3
"""Turns the distributed files of Multimodal Handwritten Digits into arrays that mldctl imports.

    convert_mhd.py mhd_train.pt mhd_test.pt --out arrays
    mldctl data import npy arrays --out store

A file is what torch.save made of a tuple: labels [N], images [N,1,28,28] in [0,1], trajectories [N,200] (100 x, then
100 y) in [0,1], sounds [N,4,32,32] in [0,1] (four tiles of 32 mel bands x 32 frames, one below the other), and what
the ends of [0,1] stand for in trajectories and sounds, {"max": .., "min": ..}. Sounds are written as [N,32,128],
frames x mel bands. Needs Python 3.9 or later and nothing else: nothing in a file is executed, and names that tensors
and numbers do not need are refused.
"""

import argparse
import array
import collections
import json
import math
import pathlib
import pickle
import struct
import sys
import zipfile

# torch's storages: the array's letter, and NumPy's name of the element.
STORAGES = {
    "FloatStorage": ("f", "<f4"),
    "DoubleStorage": ("d", "<f8"),
    "LongStorage": ("q", "<i8"),
    "IntStorage": ("i", "<i4"),
    "ByteStorage": ("B", "|u1"),
}


class Bad(Exception):
    pass


class Tensor:
    """Elements in order, with their letter in `array`, and a shape."""

    def __init__(self, values, shape):
        self.values, self.shape = values, tuple(shape)

    def floats(self):
        return self.values if self.values.typecode == "f" else array.array("f", self.values)


def rebuild_tensor(storage, offset, size, stride, *_):
    count, expected = math.prod(size), 1
    for extent, step in reversed(list(zip(size, stride))):
        if extent > 1 and step != expected:
            raise Bad("holds a tensor that is a view of another; save a contiguous copy")
        expected *= extent
    if offset < 0 or offset + count > len(storage):
        raise Bad("holds a tensor that is larger than its storage")
    return Tensor(storage[offset : offset + count], size)


class Reader(pickle.Unpickler):
    def __init__(self, archive, root):
        super().__init__(archive.open(root + "data.pkl"))
        self.archive, self.root = archive, root

    def find_class(self, module, name):
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return rebuild_tensor
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if module == "torch" and name in STORAGES:
            return name
        raise Bad(f"holds a {module}.{name}, which no tensor or number is made of")

    def persistent_load(self, identity):
        kind, storage, key, _, count = identity
        if kind != "storage" or storage not in STORAGES:
            raise Bad(f"holds a {kind} of {storage}")
        values = array.array(STORAGES[storage][0])
        values.frombytes(self.archive.read(f"{self.root}data/{key}"))
        if sys.byteorder != "little":
            values.byteswap()
        if len(values) != count:
            raise Bad(f"is truncated: storage {key} has {len(values)} of {count} elements")
        return values


def load(path):
    """What torch.save wrote, tensors as Tensor."""
    try:
        with zipfile.ZipFile(path) as archive:
            roots = [name[: -len("data.pkl")] for name in archive.namelist() if name.endswith("data.pkl")]
            if len(roots) != 1:
                raise Bad("is a ZIP file, but none that torch.save wrote")
            return Reader(archive, roots[0]).load()
    except zipfile.BadZipFile as error:
        raise Bad(
            f"is no file of PyTorch 1.6 or later ({error}); if an older one wrote it, load it and save it again with "
            "torch.save(torch.load(FILE), FILE)"
        ) from error
    except (pickle.UnpicklingError, EOFError, KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise Bad(f"is corrupt, or no file of tensors ({error}); fetch it again") from error


def expect(name, tensor, shape):
    if not isinstance(tensor, Tensor) or tensor.shape != shape:
        found = list(tensor.shape) if isinstance(tensor, Tensor) else type(tensor).__name__
        raise Bad(f"{name}: expected a tensor {list(shape)}, found {found}")
    return tensor


def ends(name, scaling):
    """[min, max] of a dictionary, whose values may be tensors of one element."""
    try:
        found = [scaling[key] for key in ("min", "max")]
        low, high = (float(v.values[0] if isinstance(v, Tensor) else v) for v in found)
    except (TypeError, KeyError, ValueError, IndexError) as error:
        raise Bad(f"{name}: expected numbers 'max' and 'min', found {scaling!r}") from error
    if not low < high:
        raise Bad(f"{name}: from {low} to {high}")
    return [low, high]


def frames_first(sounds, count):
    """[N,4,32,32], where tile and row are the mel band, to [N,32,128]."""
    out = array.array("f")
    for item in range(0, count * 4096, 4096):
        for frame in range(32):
            out.extend(sounds[item + frame : item + 4096 : 32])
    return out


def write_npy(path, descr, shape, values):
    if sys.byteorder != "little":
        values.byteswap()
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {tuple(shape)}, }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
        values.tofile(file)


def convert(source, folder):
    """Writes the arrays of one split; the ends of its sounds."""
    content = load(source)
    if not isinstance(content, (tuple, list)) or len(content) != 6:
        raise Bad("expected labels, images, trajectories, sounds and two scalings")
    labels, images, trajectories, sounds, of_trajectories, of_sounds = content
    count = labels.shape[0] if isinstance(labels, Tensor) and len(labels.shape) == 1 else -1
    expect("labels", labels, (count,))
    expect("images", images, (count, 1, 28, 28))
    expect("trajectories", trajectories, (count, 200))
    expect("sounds", sounds, (count, 4, 32, 32))
    if labels.values.typecode not in "qiB":
        raise Bad("labels: expected integers")
    ends("the scaling of trajectories", of_trajectories)
    sound_ends = ends("the scaling of sounds", of_sounds)
    folder.mkdir()
    write_npy(folder / "labels.npy", "<i4", (count,), array.array("i", labels.values))
    write_npy(folder / "image.npy", "<f4", (count, 28, 28, 1), images.floats())
    write_npy(folder / "trajectory.npy", "<f4", (count, 200), trajectories.floats())
    write_npy(folder / "sound.npy", "<f4", (count, 32, 128), frames_first(sounds.floats(), count))
    return sound_ends


def describe(sound_ends):
    return {
        "name": "mhd",
        "classes": 10,
        "modalities": [
            {"name": "image", "kind": "image"},
            # The frame length is not recorded; this one is used to make sounds audible.
            {
                "name": "sound",
                "kind": "spectrogram",
                "range": [0, 1],
                "original_range": sound_ends,
                "audio": {"sample_rate": 16000, "n_fft": 2048, "hop": 512},
            },
            # In units of the tablet, not of the picture, so that their ends stay out.
            {"name": "trajectory", "kind": "vector", "range": [0, 1], "pen_path": True},
        ],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=pathlib.Path, help="mhd_train.pt")
    parser.add_argument("test", type=pathlib.Path, help="mhd_test.pt")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder to write, new or empty")
    options = parser.parse_args()
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        if any(options.out.iterdir()):
            parser.error(f"{options.out} is not empty")
        sound_ends = {}
        for split in ("train", "test"):
            source = getattr(options, split)
            try:
                sound_ends[split] = convert(source, options.out / split)
            except Bad as error:
                sys.exit(f"convert_mhd.py: {source}: {error}")
        if sound_ends["train"] != sound_ends["test"]:
            sys.exit("convert_mhd.py: the sounds of the two files are scaled differently; both must be of one release")
        with open(options.out / "modalities.json", "w", encoding="utf-8") as file:
            json.dump(describe(sound_ends["train"]), file, indent=2)
    except OSError as error:
        sys.exit(f"convert_mhd.py: {error}")


if __name__ == "__main__":
    main()
