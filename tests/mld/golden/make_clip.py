"""Writes what metrics_clip_test.cpp compares with, from the public implementations:

  clip_merges.txt          a small byte-pair vocabulary in CLIP's format, trained here on SENTENCES
  clip_bpe_cases.txt       texts and their ids by transformers' CLIPTokenizer and open_clip's SimpleTokenizer
  clip_golden.safetensors  samples of the outputs of every layer of transformers' CLIPModel, computed in double, with
                           weights that are a function of their names (recipe), so that they need not be stored

Run with PyTorch 2, transformers 5, open_clip_torch 3 and safetensors: python make_clip.py
"""

import collections
import gzip
import math
import pathlib
import tempfile

import numpy as np
import regex
import torch
from open_clip.tokenizer import SimpleTokenizer, bytes_to_unicode
from safetensors.numpy import save_file
from torch.nn import functional as F
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

HERE = pathlib.Path(__file__).parent
MERGES = 320
SENTENCES = """
this bird is white with black on its head and wings and has a short pointy beak
a small yellow bird with a black crown and a long pointed bill
the bird has a red throat, a brown breast and grey wing feathers
this is a large black bird with webbed feet and an orange beak
a bird with a blue belly, white wingbars and small black eyes
the small brown bird has a speckled breast and a thin curved bill
it's a green and yellow bird that doesn't have long tail feathers
the crown, nape and back of this bird are dark grey; its belly is white
we've seen 3 birds with 12 spots, they're sitting on a branch
small bird with very long primaries, a yellow eyering and bright orange tarsi
the medium sized bird has iridescent feathers and a hooked beak
this particular bird has a belly that is light brown and has a white rump
two sparrows perched together beneath the wooden roof during heavy rainfall
ducks gather quietly around frozen water while gulls circle overhead in strong wind
an exotic parrot shows emerald plumage, purple cheeks and glossy turquoise shoulders
the hummingbird hovers near fragrant flowers, drinking nectar through its narrow tongue
juvenile hawks quickly chase field mice across open country every single morning
"""
TEXTS = [
    "this bird has a white belly and a short pointy beak",
    "",
    "   ",
    "A",
    "THE Bird's EYERING isn't red; they're 3-4 m WIDE!",
    "we'll i'd i'm you've 'tis 'stop '''s",
    "tabs\tand\nnew lines\r\n  and\u00a0\u3000wide blanks ",
    "numbers 2023 1st 4x4 3.14 \u00bd \u0664\u0665 \u2167",
    "dots... commas,,, (brackets) [a] {b} <c> #tag @at a_b a-b a/b",
    "<pad> <unk> <exc>",
    "wow!\t?\u3000#\n!\u00a0-",
    "<|startoftext|> inside <|endoftext|> the text <|endoftext|>",
    "caf\u00e9 \u00c9COLE na\u00efve stra\u00dfe \u0141\u00d3D\u0179 \u0130stanbul",
    "\u03a9\u03b4\u03cc\u03c2 \u041f\u0442\u0438\u0446\u0410 \u05e6\u05d9\u05e4\u05d5\u05e8 \u0637\u0627\u0626\u0631",
    "\u9ce5 \u304b\u3082\u3081 \uc0c8 \u092a\u0915\u094d\u0937\u0940 \u0e19\u0e01",
    "\U0001d49c\U0001f426\U0001f426\u200d\u2b1b bird\U00010400\U0001e900",
    "\u1e9e \u01c5 \ua7b4 \u2c60 \uff21\u24b6 \u212a\u2126",
    "$5 + \u20ac6 = \u00a311 \u2264 \u00b2\u00b3 \u00aa\u00ba \u02b0 _\u0301x",
    "nul\x00 del\x7f soft\u00adhyphen zero\u200bwidth bom\ufeff",
    "a small yellow bird with a black crown and a slightly hooked bill, eating yellowish berries",
    "underneath feathery clouds, thirty-seven pelicans flew southwards over blackened hilltops together",
    "brownish speckles cover its whitish throat; the eyebrows, flanks and undertail coverts are brighter",
    "a bird " * 60,
    "beak" * 40,
]

# ---------------------------------------------------------------------------------------------------- tokenizer


def train_merges():
    symbol = bytes_to_unicode()
    words = collections.Counter()
    for word in regex.findall(r"'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+", SENTENCES.lower()):
        parts = [symbol[b] for b in word.encode()]
        parts[-1] += "</w>"
        words[tuple(parts)] += 1
    made, merges = set(), []
    while len(merges) < MERGES:
        pairs = collections.Counter()
        for word, count in words.items():
            for pair in zip(word, word[1:]):
                pairs[pair] += count
        best = min((p for p in pairs if "".join(p) not in made), key=lambda p: (-pairs[p], p))
        merges.append(best)
        made.add("".join(best))
        joined = collections.Counter()
        for word, count in words.items():
            out = []
            for part in word:
                if out and (out[-1], part) == best:
                    out[-1] += part
                else:
                    out.append(part)
            joined[tuple(out)] += count
        words = joined
    return merges


def escaped(text):
    for plain, code in (("\\", "\\\\"), ("\n", "\\n"), ("\t", "\\t"), ("\r", "\\r"), ("\0", "\\0")):
        text = text.replace(plain, code)
    return text


def public_tokenizer(merges):
    base = list(bytes_to_unicode().values())
    names = base + [s + "</w>" for s in base] + ["".join(m) for m in merges] + ["<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={n: i for i, n in enumerate(names)}, merges=merges), len(names)


def write_tokenizer(context):
    merges = train_merges()
    text = "#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges)
    (HERE / "clip_merges.txt").write_text(text, encoding="utf-8")
    tokenizer, vocabulary = public_tokenizer(merges)
    with tempfile.NamedTemporaryFile(suffix=".gz") as packed:
        packed.write(gzip.compress(text.rstrip("\n").encode()))
        packed.flush()
        second = SimpleTokenizer(packed.name)
    lines = []
    for text in TEXTS:
        ids = tokenizer(text, truncation=True, max_length=context)["input_ids"]
        other = [i for i in second([text], context)[0].tolist()]
        if other[: len(ids)] != ids:  # where the two differ, ftfy, NFC, or marks in the text are the reason
            print("open_clip differs:", repr(text))
        lines.append(" ".join(map(str, ids)) + "\t" + escaped(text) + "\n")
    (HERE / "clip_bpe_cases.txt").write_text("".join(lines), encoding="utf-8", newline="\n")
    return tokenizer, vocabulary


# ------------------------------------------------------------------------------------------------------- recipe


def uniform(name, count):
    """float64 in [-1,1), multiples of 2^-23: splitmix64 of the name's FNV-1a hash and the index."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = (seed ^ byte) * 0x100000001B3 % 2**64
    x = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x = x ^ (x >> np.uint64(31))
    return (x >> np.uint64(40)).astype(np.float64) / 2**23 - 1


def recipe(name, shape):
    """float32 values of the tensor that OpenAI's state dict calls `name`."""
    u = uniform(name, math.prod(shape)).reshape(shape)
    if "ln_" in name and name.endswith("weight"):
        value = 1 + 0.3 * u
    elif name.endswith("bias"):
        value = 0.2 * u
    elif "embedding" in name:
        value = u
    else:
        fan_in = shape[0] if name.endswith("proj") or name.endswith("projection") else math.prod(shape[1:])
        value = math.sqrt(3 / fan_in) * u
    return torch.from_numpy(value.astype(np.float32))


# --------------------------------------------------------------------------------------------------------- towers


def build(c):
    tower = lambda t: {
        "hidden_size": t[0],
        "intermediate_size": 4 * t[0],
        "num_hidden_layers": t[1],
        "num_attention_heads": t[2],
        "hidden_act": "quick_gelu",
    }
    config = CLIPConfig(
        text_config=tower(c["text"])
        | {
            "vocab_size": c["vocabulary"],
            "max_position_embeddings": c["context"],
            "projection_dim": c["embedding"],
            "bos_token_id": c["vocabulary"] - 2,
            "eos_token_id": c["vocabulary"] - 1,
            "pad_token_id": 0,
        },
        vision_config=tower(c["vision"])
        | {"image_size": c["image"], "patch_size": c["patch"], "projection_dim": c["embedding"]},
        projection_dim=c["embedding"],
    )
    config._attn_implementation = "eager"
    model = CLIPModel(config).double().eval()
    load(model, c)
    return model


def fill(module, name):
    """Weight and bias of a layer of the same two parts in both naming schemes."""
    with torch.no_grad():
        for part in ("weight", "bias"):
            if getattr(module, part, None) is not None:
                p = getattr(module, part)
                p.copy_(recipe(f"{name}.{part}", tuple(p.shape)))


def fill_tower(layers, name, width):
    for i, layer in enumerate(layers):
        block = f"{name}transformer.resblocks.{i}."
        fill(layer.layer_norm1, block + "ln_1")
        fill(layer.layer_norm2, block + "ln_2")
        fill(layer.mlp.fc1, block + "mlp.c_fc")
        fill(layer.mlp.fc2, block + "mlp.c_proj")
        fill(layer.self_attn.out_proj, block + "attn.out_proj")
        weight = recipe(block + "attn.in_proj_weight", (3 * width, width))
        bias = recipe(block + "attn.in_proj_bias", (3 * width,))
        for k, part in enumerate((layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj)):
            part.weight.data.copy_(weight[k * width : (k + 1) * width])
            part.bias.data.copy_(bias[k * width : (k + 1) * width])


def load(model, c):
    v, t = model.vision_model, model.text_model
    width = c["vision"][0]
    set_ = lambda p, name, shape: p.data.copy_(recipe(name, shape))
    fill(v.embeddings.patch_embedding, "visual.conv1")
    set_(v.embeddings.class_embedding, "visual.class_embedding", (width,))
    set_(v.embeddings.position_embedding.weight, "visual.positional_embedding",
         tuple(v.embeddings.position_embedding.weight.shape))
    fill(v.pre_layrnorm, "visual.ln_pre")
    fill(v.post_layernorm, "visual.ln_post")
    fill_tower(v.encoder.layers, "visual.", width)
    model.visual_projection.weight.data.copy_(recipe("visual.proj", (width, c["embedding"])).T)
    width = c["text"][0]
    set_(t.embeddings.token_embedding.weight, "token_embedding.weight", (c["vocabulary"], width))
    set_(t.embeddings.position_embedding.weight, "positional_embedding", (c["context"], width))
    fill(t.final_layer_norm, "ln_final")
    fill_tower(t.encoder.layers, "", width)
    model.text_projection.weight.data.copy_(recipe("text_projection", (width, c["embedding"])).T)


def pixels(images, size):
    """docs/method.md section 18.3, images [N,H,W,3] to the model's [N,3,size,size]."""
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073], dtype=torch.float64)
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711], dtype=torch.float64)
    x = F.interpolate(images.clamp(0, 1).permute(0, 3, 1, 2), (size, size), mode="bilinear", align_corners=False)
    return (x - mean[:, None, None]) / std[:, None, None]


def sampled(x, count=60):
    """Values at even distances, then mean and largest size."""
    flat = x.detach().reshape(-1).double()
    at = torch.arange(count) * (flat.numel() - 1) // (count - 1)
    return torch.cat([flat[at], flat.mean()[None], flat.abs().max()[None]]).numpy().astype(np.float32)


def towers(label, c, images, tokens):
    model, out = build(c), {}
    keep = lambda name: lambda module, inputs, result: out.__setitem__(
        f"{label}/{name}", sampled(result[0] if isinstance(result, tuple) else result))
    before = lambda name: lambda module, inputs: out.__setitem__(f"{label}/{name}", sampled(inputs[0]))
    model.vision_model.pre_layrnorm.register_forward_hook(keep("visual.embed"))
    model.text_model.embeddings.register_forward_hook(keep("text.embed"))
    for name, part in (("visual", model.vision_model), ("text", model.text_model)):
        for i, layer in enumerate(part.encoder.layers):
            layer.self_attn.out_proj.register_forward_pre_hook(before(f"{name}.{i}.attend"))
            layer.register_forward_hook(keep(f"{name}.{i}"))
    model.visual_projection.register_forward_hook(keep("visual.project"))
    model.text_projection.register_forward_hook(keep("text.project"))
    with torch.no_grad():
        x = pixels(images, c["image"])
        out[f"{label}/pixels"] = sampled(x.permute(0, 2, 3, 1))
        model(input_ids=tokens, pixel_values=x)
        # The pooled outputs again, as features of length one.
        image = model.visual_projection(model.vision_model(pixel_values=x).pooler_output)
        text = model.text_projection(model.text_model(input_ids=tokens).pooler_output)
    image, text = F.normalize(image, dim=-1), F.normalize(text, dim=-1)
    out[f"{label}/image_features"], out[f"{label}/text_features"] = sampled(image), sampled(text)
    out[f"{label}/score"] = np.array([2.5 * (image * text).sum(-1).mean().item()], dtype=np.float32)
    return out


def images(name, shape):
    return torch.from_numpy((0.5 + 0.7 * uniform(name, math.prod(shape))).astype(np.float32)).double().reshape(shape)


SMALL = {"image": 96, "patch": 32, "context": 24, "embedding": 40, "vision": (64, 3, 4), "text": (48, 3, 3)}
FULL = {"image": 224, "patch": 32, "context": 77, "vocabulary": 600, "embedding": 512,
        "vision": (768, 12, 12), "text": (512, 12, 8)}

tokenizer, SMALL["vocabulary"] = write_tokenizer(77)
captions = ["a small yellow bird with a black crown", TEXTS[4]]
rows = [tokenizer(t, truncation=True, max_length=SMALL["context"])["input_ids"] for t in captions]
tokens = torch.tensor([r + [0] * (SMALL["context"] - len(r)) for r in rows])
golden = towers("small", SMALL, images("small images", (2, 150, 60, 3)), tokens)
row = [598] + [(7 * i) % 598 for i in range(30)] + [599]
golden |= towers("full", FULL, images("full images", (1, 64, 64, 3)), torch.tensor([row + [0] * (77 - len(row))]))
path = HERE / "clip_golden.safetensors"
save_file(golden, path)
path.chmod(0o644)
for name in sorted(golden):
    print(f"{name:26} mean {golden[name][-2] if golden[name].size > 1 else 0:+.4f} largest {golden[name][-1]:.4f}")
print(path.stat().st_size, "bytes")
