// The constants of a min-max scaling, stored with a data set so that scaled values can be read in their own
// units again (pixels for trajectories, decibels for spectrograms): unit = (value - min) / (max - min).
#pragma once

namespace mld::data {

struct ValueRange {
  float min = 0, max = 1;

  // Values outside the range, which only items unseen by the range can have, are clamped to [0, 1].
  float to_unit(float value) const {
    const float unit = (value - min) / (max - min);
    return unit < 0 ? 0.0F : unit > 1 ? 1.0F : unit;
  }
  float from_unit(float unit) const { return min + unit * (max - min); }
  bool operator==(const ValueRange&) const = default;
};

}  // namespace mld::data
