#include "data/sources/spoken_digits.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <span>

#include "data/audio/audio.h"
#include "data/audio/wav.h"
#include "data/sources/input_folder.h"
#include "engine/base/error.h"
#include "engine/base/names.h"
#include "engine/io/files.h"
#include "engine/threads/threads.h"

namespace mld::data {
namespace {

namespace fs = std::filesystem;

std::optional<std::int64_t> number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

Recording parse_name(const fs::path& path) {
  const std::string stem = path.stem().string();
  const std::size_t first = stem.find('_'), last = stem.rfind('_');
  const auto fails = [&]() {
    fail(
        ErrorKind::data, path.string(),
        ": its name does not say what is spoken; expected DIGIT_SPEAKER_INDEX.wav, such as 7_jackson_32.wav. "
        "Rename it or move it elsewhere");
  };
  if (first == std::string::npos || last <= first + 1) fails();
  const auto digit = number(std::string_view(stem).substr(0, first)),
             index = number(std::string_view(stem).substr(last + 1));
  if (!digit || *digit > 9 || !index) fails();
  return {path, static_cast<std::int32_t>(*digit), stem.substr(first + 1, last - first - 1), *index};
}

}  // namespace

std::vector<Recording> list_recordings(const fs::path& folder, std::vector<std::string>& other,
                                       Provenance& provenance) {
  std::vector<Recording> recordings;
  std::vector<fs::path> files;
  for (const fs::path& path : list_folder(folder)) {
    const std::string name = path.filename().string();
    if (name.starts_with('.')) continue;
    if (lower(path.extension().string()) != ".wav") {
      other.push_back(name);
      continue;
    }
    recordings.push_back(parse_name(path));
    files.push_back(path);
  }
  MLD_CHECK_AS(ErrorKind::data, !recordings.empty(), folder.string(),
               ": no recordings; put files named DIGIT_SPEAKER_INDEX.wav there");
  provenance.sources.push_back(describe_sources("*.wav", files));
  return recordings;
}

std::vector<float> recorded_decibels(const std::vector<Recording>& recordings,
                                     const std::function<void(std::int64_t done)>& progress) {
  constexpr auto kSize = static_cast<std::size_t>(kSecondFrames * kMelBands);
  constexpr std::int64_t kTogether = 256;
  std::vector<float> decibels(recordings.size() * kSize);
  for (std::int64_t begin = 0, end = 0; begin < std::ssize(recordings); begin = end) {
    end = std::min(begin + kTogether, std::ssize(recordings));
    parallel_ranges(end - begin, [&](std::int64_t first, std::int64_t last) {
      MelFrontEnd front_end;
      for (auto i = static_cast<std::size_t>(begin + first); i < static_cast<std::size_t>(begin + last); ++i)
        front_end.decibels(fit_length(read_wave(recordings[i].path, Conform::convert), kSampleRate),
                           std::span(decibels).subspan(i * kSize, kSize));
    });
    progress(end);
  }
  return decibels;
}

}  // namespace mld::data
