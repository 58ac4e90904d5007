// Pictures and sounds as the bytes of files, with zlib alone: a writer may choose the simplest form of a
// format. Reading, which must take every form, is in image_io.h and wav.h.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "data/formats/image_io.h"

namespace mld::data {

// An 8-bit grey or RGB PNG (ISO/IEC 15948): one IDAT chunk, every row filtered by the one above it.
std::vector<std::uint8_t> encode_png(const Picture& picture);

// A mono WAV file of 16-bit PCM; samples are clamped to [-1, 1], NaN becomes 0.
std::vector<std::uint8_t> encode_wave(std::span<const float> samples, std::int64_t rate);

// Replaces the file, or a link of its name, as a whole; the folder that it is part of is to be flushed
// (engine/io/atomic_folder.h). Error (io) if that fails.
void write_file(const std::filesystem::path& path, std::span<const std::uint8_t> bytes);

}  // namespace mld::data
