#!/usr/bin/env python3
"""Turns publicly distributed networks into the safetensors files that the quality metrics read.

    convert_weights.py clip ViT-B-32.pt clip.safetensors

Every subcommand is one network. Needs Python 3.9, NumPy and safetensors, and PyTorch where the public file is one of
PyTorch's. docs/metric-weights.md says where the public files are.
"""

import argparse
import hashlib
import pathlib
import re
import sys


def fail(message):
    sys.exit(f"convert_weights: {message}")


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def check_published(path, published):
    """Says whether the file is the one that everybody uses; `published` maps SHA-256 to its name."""
    digest = sha256(path)
    known = published.get(digest)
    print(f"{path}: SHA-256 {digest}, " + (f"the published {known}" if known else "not a published file known here"))
    return digest


def read_tensors(path):
    """The state dict of a .safetensors file, a TorchScript archive or a pickled state dict, as NumPy arrays."""
    if path.suffix == ".safetensors":
        from safetensors.numpy import load_file

        return load_file(path)
    import torch

    try:
        tensors = torch.jit.load(path, map_location="cpu").state_dict()
    except RuntimeError:  # no TorchScript
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    return {name: value.detach().cpu().numpy() for name, value in tensors.items()}


def check_shapes(path, found, expected):
    """Ends with one message that names everything that differs."""
    wrong = [f"{n} is missing" for n in expected if n not in found]
    wrong += [f"{n} is unexpected" for n in found if n not in expected]
    wrong += [
        f"{n} has shape {list(found[n].shape)}, not {list(expected[n])}"
        for n in expected
        if n in found and tuple(found[n].shape) != tuple(expected[n])
    ]
    if wrong:
        more = f" and {len(wrong) - 20} more" if len(wrong) > 20 else ""
        fail(f"{path}: not the network asked for: " + "; ".join(wrong[:20]) + more)


def write(path, tensors, network, source, digest):
    import numpy as np
    from safetensors.numpy import save_file

    for name, value in tensors.items():
        tensors[name] = np.ascontiguousarray(value, dtype=np.float32)
        if not np.isfinite(tensors[name]).all():
            fail(f"{source}: {name} has values that are not finite")
    notes = {"network": network, "source": source.name, "source_sha256": digest}
    partial = path.with_name(path.name + ".part")
    save_file(tensors, partial, notes)
    partial.replace(path)
    print(f"{path}: {len(tensors)} tensors, {sum(t.size for t in tensors.values())} values")


# ---------------------------------------------------------------------------------------------------------- CLIP

CLIP_PUBLISHED = {"40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af": "ViT-B-32.pt of OpenAI"}
CLIP_UNUSED = {"logit_scale", "input_resolution", "context_length", "vocab_size"}
CLIP_LAYERS = 12


def clip_shapes():
    """Names and shapes of ViT-B/32 in OpenAI's state dict, without what the towers do not use."""
    shapes = {
        "token_embedding.weight": (49408, 512),
        "positional_embedding": (77, 512),
        "ln_final.weight": (512,),
        "ln_final.bias": (512,),
        "text_projection": (512, 512),
        "visual.class_embedding": (768,),
        "visual.positional_embedding": (50, 768),
        "visual.conv1.weight": (768, 3, 32, 32),
        "visual.proj": (768, 512),
    }
    for norm in ("ln_pre", "ln_post"):
        shapes |= {f"visual.{norm}.weight": (768,), f"visual.{norm}.bias": (768,)}
    for tower, w in (("", 512), ("visual.", 768)):
        for i in range(CLIP_LAYERS):
            parts = {
                "attn.in_proj_": (3 * w, w),
                "attn.out_proj.": (w, w),
                "mlp.c_fc.": (4 * w, w),
                "mlp.c_proj.": (w, 4 * w),
                "ln_1.": (w,),
                "ln_2.": (w,),
            }
            for part, shape in parts.items():
                name = f"{tower}transformer.resblocks.{i}.{part}"
                shapes |= {name + "weight": shape, name + "bias": shape[:1]}
    return shapes


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


def convert_clip(arguments):
    digest = check_published(arguments.source, CLIP_PUBLISHED)
    tensors = read_tensors(arguments.source)
    if any(name.startswith("text_model.") for name in tensors):
        tensors = clip_from_transformers(tensors)
    tensors = {name: value for name, value in tensors.items() if name not in CLIP_UNUSED}
    check_shapes(arguments.source, tensors, clip_shapes())
    write(arguments.result, tensors, "clip", arguments.source, digest)


def add_clip(commands):
    command = commands.add_parser("clip", help="CLIP ViT-B/32, for CLIP-S")
    command.add_argument("source", type=pathlib.Path, help="OpenAI's ViT-B-32.pt, or transformers' model.safetensors")
    command.add_argument("result", type=pathlib.Path, help="the safetensors file to write")
    command.set_defaults(convert=convert_clip)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="NETWORK")
    add_clip(commands)
    arguments = parser.parse_args()
    if not arguments.source.is_file():
        fail(f"{arguments.source}: no such file")
    arguments.convert(arguments)


if __name__ == "__main__":
    main()
