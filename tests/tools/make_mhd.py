"""Writes files in the layout that torch.save gives the data of MHD, without PyTorch: make_mhd.py FOLDER.

Item i has the label i mod 10, an image of i, a trajectory of i / 100 and a sound whose mel band b in frame f is
(b + 128 f + i) / 5000. Beside train.pt and test.pt, files that are damaged in a way each."""
import array
import os
import pathlib
import pickle
import sys
import types
import zipfile


def rebuild(*_):
    raise AssertionError("only its name is written")


def fake_torch():
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    rebuild.__module__, rebuild.__qualname__, rebuild.__name__ = "torch._utils", "_rebuild_tensor_v2", "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = rebuild
    for name in ("FloatStorage", "LongStorage", "HalfStorage"):
        setattr(torch, name, type(name, (), {"__module__": "torch"}))
    torch._utils = utils
    sys.modules["torch"], sys.modules["torch._utils"] = torch, utils
    return torch


torch = fake_torch()


class Storage:
    def __init__(self, kind, values):
        self.kind, self.values = kind, values


class Tensor:
    def __init__(self, kind, values, shape, stride=None):
        self.storage, self.shape, self.stride = Storage(kind, values), tuple(shape), stride

    def __reduce__(self):
        stride, step = [], 1
        for extent in reversed(self.shape):
            stride.insert(0, step)
            step *= extent
        return rebuild, (self.storage, 0, self.shape, self.stride or tuple(stride), False, {})


class Evil:
    def __reduce__(self):
        return os.mkdir, ("executed",)


def save(path, content, short=False):
    storages = []

    class Pickler(pickle.Pickler):
        def persistent_id(self, thing):
            if not isinstance(thing, Storage):
                return None
            storages.append(thing)
            return "storage", getattr(torch, thing.kind), str(len(storages) - 1), "cpu", len(thing.values)

    with zipfile.ZipFile(path, "w") as archive:
        with archive.open("archive/data.pkl", "w") as file:
            Pickler(file, 2).dump(content)
        for key, storage in enumerate(storages):
            archive.writestr(f"archive/data/{key}", storage.values.tobytes()[: -8 if short else None])


def floats(values, shape, kind="FloatStorage"):
    return Tensor(kind, array.array("f", values), shape)


def content(count):
    items = range(count)
    sounds = ((32 * tile + row + 128 * frame + i) / 5000 for i in items for tile in range(4) for row in range(32) for frame in range(32))
    return [
        Tensor("LongStorage", array.array("q", (i % 10 for i in items)), [count]),
        floats((i / 100 for i in items for _ in range(784)), [count, 1, 28, 28]),
        floats((i / 100 for i in items for _ in range(200)), [count, 200]),
        floats(sounds, [count, 4, 32, 32]),
        {"max": floats([2.5], []), "min": -2.75},
        {"max": -47.5, "min": -200.0},
    ]


def changed(at, value):
    new = content(12)
    new[at] = value
    return tuple(new)


folder = pathlib.Path(sys.argv[1])
save(folder / "train.pt", tuple(content(40)))
save(folder / "test.pt", tuple(content(12)))
save(folder / "short.pt", tuple(content(12)), short=True)
save(folder / "evil.pt", changed(4, Evil()))
save(folder / "half.pt", changed(1, floats([], [12, 1, 28, 28], "HalfStorage")))
save(folder / "view.pt", changed(2, Tensor("FloatStorage", array.array("f", [0] * 2400), [12, 200], (1, 12))))
save(folder / "large.pt", changed(2, floats([0], [12, 200])))
save(folder / "shape.pt", changed(3, floats([0] * 12 * 4096, [12, 1, 128, 32])))
save(folder / "labels.pt", changed(0, floats(range(12), [12])))
save(folder / "ends.pt", changed(5, {"max": -200.0, "min": -47.5}))
save(folder / "missing.pt", changed(5, {"max": -200.0}))
save(folder / "other.pt", changed(5, {"max": -47.5, "min": -190.0}))
save(folder / "five.pt", tuple(content(12)[:5]))
(folder / "text.pt").write_text("not a ZIP file")
(folder / "cut.pt").write_bytes((folder / "test.pt").read_bytes()[:5000])
with zipfile.ZipFile(folder / "zip.pt", "w") as archive:
    archive.writestr("readme.txt", "another ZIP file")
with zipfile.ZipFile(folder / "pickle.pt", "w") as archive:
    archive.writestr("archive/data.pkl", b"\x80\x02garbage")
