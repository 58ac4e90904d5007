// `birds`, the embedded data set with words: drawn birds and what people might say of them, made in seconds from a seed.
//
// A bird has five attributes: colour, size, beak, wing bars and pose; its class is their combination
// (data/store/description.h). Each is drawn uniformly and independently of the others. All else in the picture is
// nuisance: where the bird is and where it looks, its shades and slant, leaves, clouds and waves. Ten captions say all five
// in different orders and words, so that a caption can be read as a class again (data/text/attributes.h). What a model
// gives for a caption is right or wrong attribute by attribute, which pictures and texts from elsewhere rarely allow.
//
// A picture and its captions are a pure function of (seed, split, index), with the same bits on every machine.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "data/store/description.h"

namespace mld::data {

constexpr std::int64_t kBirdSide = 64;
constexpr std::int64_t kBirdPicture = kBirdSide * kBirdSide * 3;  // bytes, [64, 64, 3]
constexpr std::int64_t kBirdCaptions = 10;                        // of a picture

struct BirdsConfig {
  std::uint64_t seed = 0;
  std::int64_t train = 8000;
  std::int64_t test = 1000;
};

enum class BirdColour : std::uint8_t { red, orange, yellow, green, blue, brown, grey, black };
enum class BirdSize : std::uint8_t { small, large };
enum class BirdBeak : std::uint8_t { short_, long_, hooked };
enum class BirdPose : std::uint8_t { perched, flying, swimming };

struct BirdLook {
  BirdColour colour;
  BirdSize size;
  BirdBeak beak;
  bool bars;
  BirdPose pose;
};

// The five by name, with the words that name their values.
const std::vector<Attribute>& bird_attributes();

struct BirdsSplit {
  std::vector<std::uint8_t> pictures;  // [N, 64, 64, 3]
  std::vector<std::string> captions;   // [N, 10]
  std::vector<std::int32_t> labels;    // [N]
  std::int64_t size() const { return static_cast<std::int64_t>(labels.size()); }
};

// Errors: usage if a size is negative, train is 0, or a split exceeds a million pictures.
void check(const BirdsConfig& config);
// Items [first, first + count) of a split.
BirdsSplit make_birds(std::uint64_t seed, bool test_split, std::int64_t first, std::int64_t count);

}  // namespace mld::data
