// Every convolution of the presets, with few samples.
#pragma once

#include "engine/kernels/conv_dims.h"

namespace mld::test {

// {n, h, w, in, out, kh, kw, sh, sw, ph, pw}; transposed convolutions by the convolution they
// are the adjoint of.
constexpr ConvDims kPresetLayers[] = {
    // SVHN autoencoder, and its decoder backwards
    {3, 32, 32, 3, 32, 4, 4, 2, 2, 1, 1},
    {3, 16, 16, 32, 64, 4, 4, 2, 2, 1, 1},
    {7, 8, 8, 64, 128, 4, 4, 2, 2, 1, 1},
    {5, 4, 4, 128, 64, 4, 4, 1, 1, 0, 0},
    // classifiers of MNIST, SVHN, MHD, PolyMNIST
    {2, 28, 28, 1, 10, 5, 5, 1, 1, 0, 0},
    {2, 12, 12, 10, 20, 5, 5, 1, 1, 0, 0},
    {2, 32, 32, 3, 10, 5, 5, 1, 1, 0, 0},
    {2, 14, 14, 10, 20, 5, 5, 1, 1, 0, 0},
    {2, 28, 28, 1, 16, 5, 5, 1, 1, 0, 0},
    {2, 12, 12, 16, 32, 5, 5, 1, 1, 0, 0},
    {2, 28, 28, 3, 10, 4, 4, 2, 2, 1, 1},
    {2, 14, 14, 10, 20, 4, 4, 2, 2, 1, 1},
    // MHD image and sound
    {3, 28, 28, 1, 32, 4, 4, 2, 2, 1, 1},
    {3, 14, 14, 32, 64, 4, 4, 2, 2, 1, 1},
    {3, 32, 128, 1, 128, 1, 128, 1, 1, 0, 0},
    {3, 32, 1, 128, 128, 4, 1, 2, 1, 1, 0},
    {3, 16, 1, 128, 256, 4, 1, 2, 1, 1, 0},
    // PolyMNIST; the transposed ones with output padding come from 14 and 28 pixels
    {2, 28, 28, 3, 32, 3, 3, 2, 2, 1, 1},
    {2, 14, 14, 32, 64, 3, 3, 2, 2, 1, 1},
    {2, 7, 7, 64, 128, 3, 3, 2, 2, 1, 1},
    // CUB image (the wide levels with fewer pixels) and captions
    {1, 64, 64, 3, 64, 3, 3, 1, 1, 1, 1},
    {1, 16, 16, 64, 64, 3, 3, 1, 1, 1, 1},
    {1, 16, 16, 64, 128, 1, 1, 1, 1, 0, 0},
    {1, 8, 8, 128, 256, 3, 3, 1, 1, 1, 1},
    {1, 64, 64, 64, 3, 3, 3, 1, 1, 1, 1},
    {2, 32, 1, 1590, 32, 4, 1, 2, 1, 1, 0},
    {3, 1, 16, 32, 64, 1, 4, 1, 2, 0, 1},
    {3, 4, 1, 96, 128, 4, 1, 2, 1, 1, 0},
    {3, 1, 2, 128, 160, 1, 4, 1, 2, 0, 1},
};

}  // namespace mld::test
