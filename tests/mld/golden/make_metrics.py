"""Writes metrics_golden.safetensors: what the public implementations of the metric networks and of the sound front
end give on the numbers of recipe.py, layer by layer, in double precision.

Run with torch, torchvision, pytorch-fid, torchvggish, librosa, scipy and safetensors: python make_metrics.py.
Made with torch 2.15.0, torchvision 0.29.2, pytorch-fid 0.3.0, torchvggish 0.2, librosa 0.11.0, scipy 1.17.1.
"""

import pathlib

import librosa
import numpy as np
import torch
import torchvision
from pytorch_fid import inception as fid
from safetensors.numpy import save_file
from torchvggish import mel_features, torchvggish, vggish_params

from recipe import fill, uniform

torch.set_default_dtype(torch.float64)
torch.set_grad_enabled(False)
golden = {}
SAMPLES = 61  # prime, so that the places do not all fall into one channel


def put(name, value):
    """Mean, root mean square and largest magnitude, then values at equal distances of index. Maps go channels last."""
    if value.ndim == 4 and isinstance(value, torch.Tensor):
        value = value.permute(0, 2, 3, 1)
    flat = np.ascontiguousarray(value).reshape(-1).astype(np.float64)
    places = np.arange(SAMPLES) * flat.size // SAMPLES
    stats = [flat.mean(), np.sqrt(np.mean(flat**2)), np.abs(flat).max()]
    golden[name] = np.concatenate([stats, flat[places]]).astype(np.float32)
    print(f"{name:28} {str(list(value.shape)):20} mean {stats[0]:10.4g} rms {stats[1]:10.4g} max {stats[2]:10.4g}")


def images(name, n, h, w, c):
    """Coarse blocks with fine noise on them, some values outside [0, 1]; channels last, float32."""
    coarse = uniform(name + ".coarse", n * 5 * 7 * c).reshape(n, 5, 7, c)
    fine = uniform(name + ".fine", n * h * w * c).reshape(n, h, w, c)
    x = coarse[:, np.arange(h) * 5 // h][:, :, np.arange(w) * 7 // w] + 0.5 * fine - 0.25
    return torch.from_numpy(x.astype(np.float32).astype(np.float64)).permute(0, 3, 1, 2)


def inception():
    fid.load_state_dict_from_url = lambda *a, **k: None
    load, torchvision.models.Inception3.load_state_dict = torchvision.models.Inception3.load_state_dict, lambda *a: None
    model = fid.InceptionV3([fid.InceptionV3.BLOCK_INDEX_BY_DIM[2048]]).eval()
    torchvision.models.Inception3.load_state_dict = load
    # pytorch-fid keeps the layers in anonymous blocks; name them as torchvision does.
    names = [["Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", None], ["Conv2d_3b_1x1", "Conv2d_4a_3x3", None],
             ["Mixed_5b", "Mixed_5c", "Mixed_5d", "Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"],
             ["Mixed_7a", "Mixed_7b", "Mixed_7c", None]]
    holder = torch.nn.Module()
    for block, block_names in zip(model.blocks, names):
        for layer, name in zip(block, block_names, strict=True):
            if name:
                holder.add_module(name, layer)
                layer.register_forward_hook(lambda _, __, y, name=name: put("inception/" + name, y))
    fill(holder)
    x = images("photo", 1, 40, 28, 3)
    (features,) = model(x.clamp(0, 1))
    put("inception/pool3", features.squeeze(3).squeeze(2))
    for name, shape in {"small": (1, 20, 31, 3), "large": (1, 401, 350, 3), "gray": (2, 28, 28, 1)}.items():
        y = torch.nn.functional.interpolate(images(name, *shape).clamp(0, 1), (299, 299), mode="bilinear")
        put("resize/" + name, (2 * y - 1).expand(-1, 3, -1, -1))


def waves():
    """Noise in two bursts over tones; the second is quiet, the third has its largest magnitude below zero."""
    t = np.arange(16000)
    tone = 0.4 * np.sin(2 * np.pi * 440 * t / 16000) + 0.2 * np.sin(2 * np.pi * 3100 * t / 16000)
    noise = (2 * uniform("wave", 16000) - 1) * ((t // 4000) % 2)
    loud = (20000 * (tone + 0.3 * noise)).astype(np.float32)
    quiet = (0.05 * (tone + 0.3 * noise)).astype(np.float32)
    skewed = (3 * np.minimum(tone + 0.3 * noise, 0.25)).astype(np.float32)
    return np.stack([loud, quiet, skewed]).astype(np.float64)


def log_mel(wave):
    wave = wave / max(0.1, wave.max())
    p = vggish_params
    return mel_features.log_mel_spectrogram(
        wave, audio_sample_rate=p.SAMPLE_RATE, log_offset=p.LOG_OFFSET, num_mel_bins=p.NUM_MEL_BINS,
        window_length_secs=p.STFT_WINDOW_LENGTH_SECONDS, hop_length_secs=p.STFT_HOP_LENGTH_SECONDS,
        lower_edge_hertz=p.MEL_MIN_HZ, upper_edge_hertz=p.MEL_MAX_HZ)[:96]


def vggish():
    model = torchvggish._vgg(postprocess=False).eval()
    fill(model)
    del model.embeddings[5]  # the embedding is taken before the last ReLU
    for part in ("features", "embeddings"):
        layers = getattr(model, part)
        for i, layer in enumerate(layers):
            if isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear)):
                relu = layers[i + 1] if i + 1 < len(layers) else layer
                relu.register_forward_hook(lambda _, __, y, name=f"vggish/{part}.{i}": put(name, y))
    patch = 9 * uniform("patch", 96 * 64) - 4.6  # about the range of log-mel values
    model(torch.from_numpy(patch.astype(np.float32).astype(np.float64)).reshape(1, 1, 96, 64))


class Phases(np.random.RandomState):
    """Hands librosa the recipe's phases, drawn frame by frame."""

    def random(self, size):
        bins, frames = size
        return uniform("phase", bins * frames).reshape(frames, bins).T


def spectrogram():
    """A scaled spectrogram [32,128] with hills and noise."""
    t, b = np.meshgrid(np.arange(32), np.arange(128), indexing="ij")
    hills = 0.55 + 0.3 * np.sin(0.11 * b + 0.2 * t) * np.cos(0.3 * t)
    return np.clip(hills + 0.15 * (2 * uniform("spectrogram", 4096).reshape(32, 128) - 1), 0, 1).astype(np.float32)


def inversion():
    low, high = np.float32(-200), np.float32(-47.563736)
    decibels = spectrogram().astype(np.float64) * (np.float64(high) - np.float64(low)) + np.float64(low)
    mel = librosa.db_to_power(decibels.T, ref=1.0)
    magnitudes = librosa.feature.inverse.mel_to_stft(mel, sr=16000, n_fft=2048, power=2.0)
    put("invert_mel", magnitudes.T)
    for n in (0, 1, 5, 60):
        wave = librosa.griffinlim(magnitudes, n_iter=n, hop_length=512, momentum=0.99, random_state=Phases())
        put(f"griffin_lim/{n}", wave)
    whole = librosa.feature.inverse.mel_to_audio(mel, sr=16000, n_fft=2048, n_iter=60)
    assert whole.shape == wave.shape == (15872,)


inception()
vggish()
for i, wave in enumerate(waves()):
    put(f"log_mel/{i}", log_mel(wave))
inversion()
path = pathlib.Path(__file__).with_name("metrics_golden.safetensors")
save_file(golden, path)
print(path.stat().st_size, "bytes")
