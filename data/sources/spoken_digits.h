// Recordings of spoken digits, a file each, named as the Free Spoken Digit Dataset does: DIGIT_SPEAKER_INDEX.wav,
// such as 7_jackson_32.wav. Private to the data room.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "data/store/description.h"

namespace mld::data {

struct Recording {
  std::filesystem::path path;
  std::int32_t digit = 0;
  std::string speaker;
  std::int64_t index = 0;  // which of the speaker's recordings of that digit
};

// In order of the names. ErrorKind::data for a sound file (.wav) of another name, and where there is none; the names
// of other files go to `other`. What was read joins `provenance` as one source.
std::vector<Recording> list_recordings(const std::filesystem::path& folder, std::vector<std::string>& other,
                                       Provenance& provenance);

// Decibels [N, 32, 128] of the second around the middle of each (data/audio/audio.h), at 16 kHz, mixed to one
// channel; not scaled. `progress` hears how many are done.
std::vector<float> recorded_decibels(const std::vector<Recording>& recordings,
                                     const std::function<void(std::int64_t done)>& progress);

}  // namespace mld::data
