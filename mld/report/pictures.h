// Samples as a reader of a report meets them: a strip of pictures per modality, what cannot be drawn as words
// or as strips of colour, and players for sounds.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/store/description.h"

namespace mld::report {

// n samples of one modality: values [n, size] as the store yields them.
struct Strip {
  const data::Modality* info = nullptr;
  std::span<const float> values;
  std::string label = {};  // before the strip; empty: the modality's name
  std::string what = {};   // for those who do not see it: "real", "generated given sound"
  bool given = false;
};

class Gallery {
 public:
  // vocabularies: by modality, the words of its tokens; empty where there are none.
  Gallery(std::vector<data::Modality> infos, std::vector<std::vector<std::string>> vocabularies);

  // The strips as HTML, one above the other, sample k in the same place of each; at most kColumns samples a
  // strip, the others follow below.
  static constexpr std::int64_t kColumns = 8;
  std::string strips(std::span<const Strip> list, std::int64_t n) const;

  // Players for the first `count` samples, empty for what is not audible; `seed` is of the phases.
  std::string players(const Strip& strip, std::int64_t n, std::int64_t count, std::uint64_t seed) const;

  // Side of a picture in pixels: the smallest from 112 to 256 that is a multiple of every image's sides, so
  // that pixels stay square and alike; 168 if there is none.
  std::int64_t side() const { return side_; }

 private:
  std::string strip(const Strip& s, std::int64_t first, std::int64_t shown) const;
  std::string words(const Strip& s, std::int64_t first, std::int64_t shown) const;

  std::vector<data::Modality> infos_;
  std::vector<std::vector<std::string>> vocabularies_;
  std::int64_t side_ = 168;
};

}  // namespace mld::report
