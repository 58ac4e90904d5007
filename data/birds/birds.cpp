#include "data/birds/birds.h"

#include <algorithm>
#include <span>

#include "data/birds/birds_captions.h"
#include "data/birds/birds_picture.h"
#include "data/draws.h"
#include "data/text/attributes.h"
#include "engine/base/error.h"
#include "engine/threads/threads.h"

namespace mld::data {
namespace {

constexpr std::int64_t kMaxPictures = 1'000'000;

BirdLook look_of(std::span<const std::int32_t> values) {
  return {static_cast<BirdColour>(values[0]), static_cast<BirdSize>(values[1]),
          static_cast<BirdBeak>(values[2]), values[3] == 1, static_cast<BirdPose>(values[4])};
}

}  // namespace

void check(const BirdsConfig& config) {
  MLD_CHECK_AS(
      ErrorKind::usage,
      config.train >= 1 && config.train <= kMaxPictures && config.test >= 0 && config.test <= kMaxPictures,
      "birds: ", config.train, " training and ", config.test, " test pictures asked for; give 1 .. ",
      kMaxPictures, " and 0 .. ", kMaxPictures);
}

BirdsSplit make_birds(std::uint64_t seed, bool test_split, std::int64_t first, std::int64_t count) {
  BirdsSplit split;
  split.pictures.resize(static_cast<std::size_t>(count * kBirdPicture));
  split.captions.resize(static_cast<std::size_t>(count * kBirdCaptions));
  split.labels.resize(static_cast<std::size_t>(count));
  const std::uint32_t stream = test_split ? 1 : 0;
  parallel_for(count, [&](std::int64_t i) {
    const auto item = static_cast<std::uint32_t>(first + i);
    ItemRandom random(seed, kBirdSite, stream, item), words(seed, kBirdCaptionSite, stream, item);
    std::vector<std::int32_t> values;
    for (const Attribute& attribute : bird_attributes())
      values.push_back(
          static_cast<std::int32_t>(random.below(static_cast<std::uint32_t>(attribute.values.size()))));
    split.labels[static_cast<std::size_t>(i)] = class_of(values, bird_attributes());
    draw_bird(
        look_of(values), random,
        std::span(split.pictures)
            .subspan(static_cast<std::size_t>(i * kBirdPicture), static_cast<std::size_t>(kBirdPicture)));
    std::ranges::move(bird_captions(values, words), split.captions.begin() + i * kBirdCaptions);
  });
  return split;
}

}  // namespace mld::data
