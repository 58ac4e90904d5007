#!/usr/bin/env python3
"""Turns the publicly distributed weights of the metric networks into the files that mldctl reads.

    convert_weights.py inception pt_inception-2015-12-05-6726825d.pth --out WEIGHTS/inception.safetensors
    convert_weights.py vggish vggish-10086976.pth --out WEIGHTS/vggish.safetensors
    convert_weights.py clip ViT-B-32.pt --out WEIGHTS/clip.safetensors

Needs Python 3.9 or later with PyTorch and NumPy, or for .safetensors files with NumPy and safetensors. docs/metric-weights.md says where the originals are. A file whose
SHA-256 is not the one known is refused; --accept-any-file takes it all the same (other trainings of the same network).
"""

import argparse
import hashlib
import json
import os
import pathlib
import re
import struct
import sys
import zlib

SHA256 = {
    "inception": "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    "vggish": "10086976245803799d9194e9a73d9b6c1549c71d1b80106f5cade5608a561f4b",
    "clip": "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af",
}


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def read_state_dict(path):
    """name -> float32 array, of a state dict, a TorchScript archive or safetensors."""
    if path.suffix == ".safetensors":
        from safetensors.numpy import load_file

        return load_file(path)
    import torch

    try:
        state = torch.jit.load(path, map_location="cpu").state_dict()
    except RuntimeError:  # no TorchScript; nothing in the file is executed
        state = torch.load(path, map_location="cpu", weights_only=True)
    if hasattr(state, "get") and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    return {name: tensor.float().contiguous().numpy() for name, tensor in state.items() if hasattr(tensor, "numpy")}


def save(path, network, source, tensors):
    """Writes safetensors with the checksums of engine/io/safetensors.h; the file appears when it is complete."""
    import numpy as np

    metadata = {"network": network, "source": source}
    arrays = {name: np.ascontiguousarray(value, "<f4") for name, value in sorted(tensors.items())}
    header, offset, content, checksums = {}, 0, [], {}
    for name, value in arrays.items():
        if not np.isfinite(value).all():
            sys.exit(f"{name}: holds values that are not finite; the original is damaged")
        header[name] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": [offset, offset + value.nbytes]}
        offset += value.nbytes
        checksums[name] = f"{zlib.crc32(value.tobytes()):08x}"
    for name in sorted(arrays, key=str.encode):
        shape = "[" + ",".join(map(str, arrays[name].shape)) + "]"
        content += [name, "F32", shape, checksums[name]]
    for key in sorted(metadata, key=str.encode):
        content += [key, metadata[key]]
    metadata["crc32"] = f"{zlib.crc32(b''.join(part.encode() + bytes(1) for part in content)):08x}"
    metadata.update({"crc32/" + name: checksum for name, checksum in checksums.items()})
    text = json.dumps({"__metadata__": metadata, **header}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with open(partial, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for value in arrays.values():
            file.write(value.tobytes())
    os.replace(partial, path)
    print(f"{path}: {len(arrays)} tensors, {sum(v.size for v in arrays.values())} values")


def convert_inception(state):
    """Without the classifier, which FID does not use, and torchvision's counters of training batches."""
    unused = re.compile(r"^(fc|AuxLogits)\.|\.num_batches_tracked$")
    return {name: value for name, value in state.items() if not unused.search(name)}


def convert_vggish(state):
    """As it is: the names are those of the C++ network."""
    return {name: value for name, value in state.items() if not name.startswith("pproc.")}


def clip_from_transformers(tensors):
    """The state dict of transformers' CLIPModel under OpenAI's names; queries, keys and values become one matrix."""
    import numpy as np

    renamed = (
        (r"^vision_model\.", "visual."),
        (r"^text_model\.", ""),
        (r"encoder\.layers\.", "transformer.resblocks."),
        (r"layer_norm([12])\.", r"ln_\1."),
        (r"mlp\.fc1\.", "mlp.c_fc."),
        (r"mlp\.fc2\.", "mlp.c_proj."),
        (r"self_attn\.", "attn."),
        (r"pre_layrnorm\.", "ln_pre."),  # spelled so there
        (r"post_layernorm\.", "ln_post."),
        (r"final_layer_norm\.", "ln_final."),
        (r"embeddings\.patch_embedding\.", "conv1."),
        (r"embeddings\.position_embedding\.weight$", "positional_embedding"),
        (r"embeddings\.(class_embedding|token_embedding)", r"\1"),
        (r"^visual_projection\.weight$", "visual.proj"),
        (r"^text_projection\.weight$", "text_projection"),
    )
    out, parts = {}, {}
    for name, value in tensors.items():
        if name.endswith("position_ids"):
            continue
        for pattern, replacement in renamed:
            name = re.sub(pattern, replacement, name)
        if name in ("visual.proj", "text_projection"):
            value = value.T
        third = re.fullmatch(r"(.*attn\.)([qkv])_proj\.(weight|bias)", name)
        if third:
            parts.setdefault(f"{third[1]}in_proj_{third[3]}", {})[third[2]] = value
        else:
            out[name] = value
    for name, three in parts.items():
        if len(three) == 3:
            out[name] = np.concatenate([three["q"], three["k"], three["v"]])
    return out


def convert_clip(state):
    """Under OpenAI's names, whoever distributes it; without what the towers do not use."""
    if any(name.startswith("text_model.") for name in state):
        state = clip_from_transformers(state)
    unused = {"logit_scale", "input_resolution", "context_length", "vocab_size"}
    return {name: value for name, value in state.items() if name not in unused}


# network -> (conversion, a tensor that tells the network, its shape)
NETWORKS = {
    "inception": (convert_inception, "Mixed_7c.branch_pool.conv.weight", (192, 2048, 1, 1)),
    "vggish": (convert_vggish, "embeddings.0.weight", (4096, 12288)),
    "clip": (convert_clip, "visual.proj", (768, 512)),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    networks = parser.add_subparsers(dest="network", required=True)
    for name in NETWORKS:
        command = networks.add_parser(name)
        command.add_argument("file", type=pathlib.Path, help="the distributed file")
        command.add_argument("--out", type=pathlib.Path, help=f"default: {name}.safetensors beside it")
        command.add_argument("--accept-any-file", action="store_true", help="do not compare the SHA-256")
    options = parser.parse_args()
    if not options.file.is_file():
        sys.exit(f"{options.file}: no such file")
    found, expected = sha256(options.file), SHA256[options.network]
    if found != expected and not options.accept_any_file:
        sys.exit(f"{options.file}: SHA-256 {found}, expected {expected}: another file, or a damaged one; "
                 "--accept-any-file takes it all the same")
    convert, mark, shape = NETWORKS[options.network]
    tensors = convert(read_state_dict(options.file))
    if mark not in tensors or tensors[mark].shape != shape:
        sys.exit(f"{options.file}: not the weights of {options.network}: no tensor {mark} of shape {shape}")
    out = options.out or options.file.with_name(options.network + ".safetensors")
    save(out, options.network, f"{options.file.name} sha256 {found}", tensors)


if __name__ == "__main__":
    main()
