// Samples as files: what a user gives comes back as it was written, whatever range a modality's values have.
#include "mld/sample_io.h"

#include <doctest/doctest.h>

#include <cmath>
#include <fstream>
#include <iterator>
#include <limits>

#include "data/audio.h"
#include "data/image_io.h"
#include "data/npy.h"
#include "tests/expect_error.h"
#include "tests/temp_folder.h"

namespace mld {
namespace {

namespace fs = std::filesystem;

data::Modality picture(const std::string& name, data::ValueRange range) {
  data::Modality info;
  info.name = name;
  info.kind = data::ModalityKind::image;
  info.shape = {5, 4, 1};
  info.range = range;
  return info;
}

data::Modality sound(data::ValueRange range) {
  data::Modality info;
  info.name = "sound";
  info.kind = data::ModalityKind::spectrogram;
  info.shape = {32, data::kMelBands};
  info.range = range;
  info.original_range = data::ValueRange{-100, 20};
  info.audio = data::AudioFrontEnd{data::kSampleRate, data::kFrameLength, data::kHop};
  return info;
}

std::vector<float> ramp(std::size_t n, data::ValueRange range) {
  std::vector<float> values(n);
  for (std::size_t i = 0; i < n; ++i) values[i] = range.from_unit(static_cast<float>(i % 20) / 19);
  return values;
}

std::string bytes(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  REQUIRE(in);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<std::string> write(const fs::path& folder, const SampleSet& set, std::int64_t n) {
  return write_samples(folder, std::span(&set, 1), n, {.singles = 1});
}

constexpr data::ValueRange kUnit{0, 1}, kSigned{-1, 1};

template <class F>
void check_error(ErrorKind kind, const std::vector<std::string>& parts, F&& f) {
  const std::string message = mld_test::error_of(kind, f);
  for (const std::string& part : parts) CHECK_MESSAGE(mld_test::contains(message, part), message);
}

}  // namespace

TEST_CASE("a picture of values in [-1, 1] is the picture of the same values in [0, 1]") {
  const mld_test::TempFolder folder;
  for (const data::ValueRange range : {kUnit, kSigned}) {
    const std::string name = range == kUnit ? "unit" : "signed";
    const SampleSet set{.info = picture("image", range), .values = ramp(2 * 20, range)};
    const auto files = write(folder / name, set, 2);
    CHECK(files == std::vector<std::string>{"image.npy", "image/0000.png", "grid.png"});

    if (data::have_png()) {
      const auto back = read_samples(set.info, folder / name / "image/0000.png", {});
      REQUIRE(back.size() == 20);
      const float rounding = 0.51F / 255 * (range.max - range.min);
      for (std::size_t i = 0; i < back.size(); ++i) CHECK(std::abs(back[i] - set.values[i]) < rounding);
    }
    CHECK(read_samples(set.info, folder / name / "image.npy", {}) == set.values);
  }
  CHECK(bytes(folder / "unit/image/0000.png") == bytes(folder / "signed/image/0000.png"));
  CHECK(bytes(folder / "unit/grid.png") == bytes(folder / "signed/grid.png"));
}

TEST_CASE("a sound of values in [-1, 1] is heard, and read back, as that of the same values in [0, 1]") {
  const mld_test::TempFolder folder;
  std::vector<float> read[2];
  for (const data::ValueRange range : {kUnit, kSigned}) {
    const std::string name = range == kUnit ? "unit" : "signed";
    const SampleSet set{.info = sound(range), .values = ramp(32 * data::kMelBands, range)};
    write(folder / name, set, 1);
    auto& back = read[range == kUnit ? 0 : 1];
    back = read_samples(set.info, folder / name / "sound/0000.wav", {.resample_audio = true});
    for (float& v : back) v = range.to_unit(v);
  }
  CHECK(bytes(folder / "unit/sound/0000.wav") == bytes(folder / "signed/sound/0000.wav"));
  REQUIRE(read[0].size() == read[1].size());
  for (std::size_t i = 0; i < read[0].size(); ++i)
    CHECK(read[0][i] == doctest::Approx(read[1][i]).epsilon(1e-6));
}

TEST_CASE("conditions come first in the grid and get no pictures of their own") {
  const mld_test::TempFolder folder;
  const SampleSet black{.info = picture("drawn", kUnit), .values = std::vector<float>(20, 0.0F)};
  const SampleSet white{
      .info = picture("given", kUnit), .values = std::vector<float>(20, 1.0F), .given = true};
  const std::vector<SampleSet> sets{black, white};
  const auto files = write_samples(folder / "out", sets, 1, {});
  CHECK(files == std::vector<std::string>{"drawn.npy", "drawn/0000.png", "given.npy", "grid.png"});
  if (!data::have_png()) return;
  const data::Picture grid = data::read_picture(folder / "out/grid.png");
  const auto middle = [&](std::int64_t row) {
    const std::int64_t y = grid.size.height * (2 * row + 1) / 4, x = grid.size.width / 2;
    return grid.bytes[static_cast<std::size_t>((y * grid.size.width + x) * grid.size.channels)];
  };
  CHECK(middle(0) == 255);
  CHECK(middle(1) == 0);
}

TEST_CASE("files that do not hold samples of the modality") {
  const mld_test::TempFolder folder;
  const data::Modality info = picture("image", kUnit);
  const auto stored = [&](const std::vector<float>& values, const Shape& shape) {
    std::ofstream out(folder / "x.npy", std::ios::binary);
    out << data::npy_header(data::npy_type(DType::f32), shape);
    out.write(reinterpret_cast<const char*>(values.data()),
              static_cast<std::streamsize>(values.size() * sizeof(float)));
  };
  const auto refused = [&](const std::vector<std::string>& parts) {
    check_error(ErrorKind::data, parts, [&] { read_samples(info, folder / "x.npy", {}); });
  };
  stored(std::vector<float>(60), {3, 5, 4});  // a stack without the last axis
  CHECK(read_samples(info, folder / "x.npy", {}).size() == 60);
  stored(std::vector<float>(20), {4, 5});
  refused({"x.npy", "[4,5]", "'image'", "[5,4,1]"});
  std::vector<float> values(20);
  values[7] = std::numeric_limits<float>::quiet_NaN();
  stored(values, {5, 4});
  refused({"x.npy", "not finite"});
  check_error(ErrorKind::usage, {"x.txt", ".npy, .png"}, [&] { read_samples(info, folder / "x.txt", {}); });
}

}  // namespace mld
