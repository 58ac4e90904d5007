#include "data/birds/birds.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "data/birds/birds_picture.h"
#include "data/importers/import.h"
#include "data/store/store.h"
#include "data/store/store_info.h"
#include "data/text/attributes.h"
#include "data/text/treebank.h"
#include "data/text/vocabulary.h"
#include "engine/io/crc32.h"
#include "engine/threads/threads.h"
#include "tests/data/files.h"

namespace mld::data {
namespace {

using namespace test;
using Words = std::vector<std::string>;

constexpr std::int64_t kPictures = 2500;
constexpr std::array<std::size_t, 5> kValues{8, 2, 3, 2, 3};

const BirdsSplit& birds() {
  static const BirdsSplit made = make_birds(1, false, 0, kPictures);
  return made;
}

std::span<const std::uint8_t> picture(const BirdsSplit& split, std::int64_t i) {
  return std::span(split.pictures)
      .subspan(static_cast<std::size_t>(i * kBirdPicture), static_cast<std::size_t>(kBirdPicture));
}

const std::vector<Words>& captions() {
  static const std::vector<Words> made = [] {
    std::vector<Words> words(birds().captions.size());
    std::ranges::transform(birds().captions, words.begin(), treebank_words);
    return words;
  }();
  return made;
}

Ints values_of(const BirdsSplit& split, std::int64_t i) {
  return values_of_class(split.labels[static_cast<std::size_t>(i)], bird_attributes());
}

void check_equal(const BirdsSplit& a, const BirdsSplit& b) {
  CHECK(a.pictures == b.pictures);
  CHECK(a.captions == b.captions);
  CHECK(a.labels == b.labels);
}

TEST_CASE("birds: an item is a pure function of seed, split and index, whatever the threads") {
  const int threads = max_threads();
  set_threads(1);
  const BirdsSplit one = make_birds(5, false, 0, 60);
  set_threads(3);
  check_equal(make_birds(5, false, 0, 60), one);
  const BirdsSplit part = make_birds(5, false, 20, 10);
  set_threads(threads);
  CHECK(std::ranges::equal(picture(part, 3), picture(one, 23)));
  CHECK(part.captions[37] == one.captions[237]);
  CHECK(part.labels[3] == one.labels[23]);

  const BirdsSplit seed = make_birds(6, false, 0, 60), test = make_birds(5, true, 0, 60);
  for (const BirdsSplit* other : {&seed, &test}) {
    CHECK(other->labels != one.labels);
    for (std::int64_t i = 0; i < 60; ++i)
      CHECK_FALSE(std::ranges::equal(picture(*other, i), picture(one, i)));
    CHECK(other->captions != one.captions);
  }
  CHECK_FALSE(std::ranges::equal(picture(one, 0), picture(one, 1)));
}

TEST_CASE("birds: the bits that everybody has") {
  const BirdsSplit first = make_birds(0, false, 0, 20);
  CHECK(crc32(std::as_bytes(std::span(first.pictures))) == 0x0f70e2b8);
  CHECK(crc32(std::as_bytes(std::span(first.labels))) == 0x8342ce44);
  const std::string text = std::accumulate(first.captions.begin(), first.captions.end(), std::string());
  CHECK(crc32(std::as_bytes(std::span(text))) == 0x03678cdd);
}

TEST_CASE("birds: every value of every attribute comes up as often, whatever the others are") {
  REQUIRE(bird_attributes().size() == kValues.size());
  for (std::size_t a = 0; a < kValues.size(); ++a) {
    const std::size_t n = bird_attributes()[a].values.size();
    REQUIRE(n == kValues[a]);
    std::vector<double> counts(n), beside(n);  // all; with the first value of the attribute before
    for (std::int64_t i = 0; i < kPictures; ++i) {
      const Ints values = values_of(birds(), i);
      const auto v = static_cast<std::size_t>(values[a]);
      ++counts[v];
      beside[v] += values[(a + 4) % 5] == 0;
    }
    const auto even = [](const std::vector<double>& counted) {
      const double total = std::accumulate(counted.begin(), counted.end(), 0.0);
      const double expected = total / static_cast<double>(counted.size());
      for (const double count : counted) CHECK(std::abs(count - expected) < 4 * std::sqrt(expected));
    };
    even(counts);
    even(beside);
  }
}

TEST_CASE("birds: every caption says the picture's class, in known words, none of them cut") {
  const Vocabulary vocabulary = Vocabulary::of(captions());
  CHECK(vocabulary.strings().size() >= 100);
  CHECK(vocabulary.strings().size() <= 200);
  const AttributeReader reader(bird_attributes());
  Words unknown;
  for (std::size_t c = 0; c < captions().size(); ++c) {
    const std::string& text = birds().captions[c];
    CAPTURE(text);
    CHECK(class_of(reader.values(captions()[c]), bird_attributes()) == birds().labels[c / 10]);
    CHECK(captions()[c].size() <= 30);
    CHECK(std::ranges::none_of(text, [](char ch) { return ch >= 'A' && ch <= 'Z'; }));
    CHECK(text.find_first_of("<>") == std::string::npos);
    CHECK(text.find("  ") == std::string::npos);
    vocabulary.encode(captions()[c], kCaptionLength, &unknown);
  }
  CHECK(unknown.empty());
}

TEST_CASE("birds: ten captions of a picture differ, in the order of what they say too") {
  const AttributeReader reader(bird_attributes());
  // Where in the order of the five an attribute is named: its value is known of words [0, n) but not [0, n - 1). A
  // phrase that goes on ("no wing bars") counts from where it is complete.
  const auto order = [&](const Words& words) {
    std::vector<std::pair<std::size_t, std::size_t>> known;
    for (std::size_t a = 0; a < kValues.size(); ++a) {
      std::size_t n = words.size();
      while (n > 0 && reader.values(std::span(words).first(n - 1))[a] == reader.values(words)[a]) --n;
      known.emplace_back(n, a);
    }
    std::ranges::sort(known);
    std::array<std::size_t, 5> places{};
    for (std::size_t place = 0; place < known.size(); ++place) places[known[place].second] = place;
    return places;
  };
  std::array<std::array<int, 5>, 5> counts{};  // [attribute][place]
  std::set<std::array<std::size_t, 5>> orders;
  std::set<std::string> texts;
  for (std::size_t i = 0; i < 300; ++i) {
    const auto first = birds().captions.begin() + static_cast<std::ptrdiff_t>(10 * i);
    CHECK(std::set<std::string>(first, first + 10).size() == 10);
    texts.insert(first, first + 10);
    for (std::size_t c = 10 * i; c < 10 * i + 10; ++c) {
      const auto places = order(captions()[c]);
      orders.insert(places);
      for (std::size_t a = 0; a < places.size(); ++a) ++counts[a][places[a]];
    }
  }
  CHECK(texts.size() > 2950);
  CHECK(orders.size() >= 14);
  for (std::size_t a = 0; a < counts.size(); ++a)
    for (std::size_t place = 0; place < counts.size(); ++place) {
      CAPTURE(a);
      CAPTURE(place);
      CHECK(counts[a][place] > 60);  // of 3000
      CHECK(counts[a][place] < 2000);
    }
}

struct Hue {
  double degrees, saturation, value;
};

Hue hue(std::span<const std::uint8_t> pixel) {
  const double r = pixel[0] / 255.0, g = pixel[1] / 255.0, b = pixel[2] / 255.0;
  const double high = std::max({r, g, b}), low = std::min({r, g, b}), width = std::max(high - low, 1e-6);
  const double sixth = high == r ? (g - b) / width : high == g ? (b - r) / width + 2 : (r - g) / width + 4;
  return {60 * (sixth < 0 ? sixth + 6 : sixth), (high - low) / std::max(high, 1e-6), high};
}

// Whether a pixel has the colour of a plumage, with its shades, that is seldom found elsewhere in these pictures.
bool has_colour(const Hue& p, std::size_t colour) {
  const auto is = [&p](double from, double to, double saturation, double darkest) {
    return p.degrees >= from && p.degrees < to && p.saturation > saturation && p.value > darkest;
  };
  switch (colour) {
    case 0:
      return is(0, 14, 0.6, 0.35) || is(345, 360, 0.6, 0.35);
    case 1:
      return is(20, 37, 0.68, 0.55);
    case 2:
      return is(44, 62, 0.58, 0.45);
    case 3:
      return is(108, 150, 0.5, 0);
    case 4:
      return is(215, 240, 0.6, 0.3);
    case 5:
      return is(14, 38, 0.5, 0) && p.value < 0.56;
    case 6:
      return p.saturation < 0.09 && p.value > 0.3 && p.value < 0.72;
    default:
      return p.value < 0.25;
  }
}

TEST_CASE("birds: counting pixels tells colour and size") {
  std::int64_t colours = 0, sizes = 0;
  for (std::int64_t i = 0; i < kPictures; ++i) {
    std::array<std::int64_t, 8> counts{};
    for (std::int64_t pixel = 0; pixel < kBirdPicture; pixel += 3) {
      const Hue found = hue(picture(birds(), i).subspan(static_cast<std::size_t>(pixel), 3));
      for (std::size_t c = 0; c < counts.size(); ++c) counts[c] += has_colour(found, c);
    }
    const auto most = std::ranges::max_element(counts);
    const Ints values = values_of(birds(), i);
    colours += most - counts.begin() == values[0];
    sizes += (*most > 290) == (values[1] == 1);
  }
  CHECK(static_cast<double>(colours) > 0.985 * kPictures);
  CHECK(static_cast<double>(sizes) > 0.985 * kPictures);
}

TEST_CASE("birds: wing bars are pale pixels on the wing and change nothing else") {
  for (std::uint32_t k = 0; k < 48; ++k) {
    BirdLook look{static_cast<BirdColour>(k % 8), static_cast<BirdSize>(k / 8 % 2),
                  static_cast<BirdBeak>(k % 3), false, static_cast<BirdPose>(k / 16)};
    std::array<Bytes, 2> pictures{Bytes(kBirdPicture), Bytes(kBirdPicture)};
    for (Bytes& drawn : pictures) {
      ItemRandom random(3, kBirdSite, 0, k);
      draw_bird(look, random, drawn);
      look.bars = true;
    }
    std::int64_t changed = 0, pale = 0;
    for (std::size_t i = 0; i < pictures[0].size(); i += 3) {
      const auto before = std::span(pictures[0]).subspan(i, 3), after = std::span(pictures[1]).subspan(i, 3);
      changed += !std::ranges::equal(before, after);
      pale +=
          std::accumulate(after.begin(), after.end(), 0) > std::accumulate(before.begin(), before.end(), 0);
    }
    CAPTURE(k);
    CHECK(pale >= (k / 8 % 2 == 0 ? 10 : 60));
    CHECK(pale == changed);
    CHECK(changed < 400);
  }
}

TEST_CASE("birds: the store holds pictures, captions in words, classes and their attributes") {
  const TempFolder folder;
  std::vector<std::int64_t> shown;
  const auto progress = [&shown](const std::string& what, std::int64_t done, std::int64_t total) {
    CHECK(what == "drawing birds");
    CHECK(total == 320);
    shown.push_back(done);
  };
  CHECK(write_birds({4, 300, 20}, folder / "out", progress).empty());
  CHECK(shown == std::vector<std::int64_t>{256, 300, 320});
  const Store store = Store::open(folder / "out");
  store.validate();
  const Description& d = store.description();
  CHECK(d.name == "birds");
  CHECK(d.classes == 288);
  CHECK(d.attributes == bird_attributes());
  CHECK(d.provenance == Provenance{"birds", 4, {}});
  CHECK(to_text(inspect(store))
            .find("classes are combinations of colour (8), size (2), beak (3), bars (2), pose (3)\n") !=
        std::string::npos);
  for (const bool test_split : {false, true}) {
    const Split& split = store.split(test_split ? "test" : "train");
    const BirdsSplit made = make_birds(4, test_split, 0, test_split ? 20 : 300);
    REQUIRE(split.num_samples() == 10 * made.size());
    CHECK(std::ranges::equal(split.item_labels(0), made.labels));
    for (const std::int64_t row : {std::int64_t{0}, std::int64_t{57}, 10 * made.size() - 1}) {
      CHECK(split.item(row, 0) == row / 10);
      CHECK(split.item(row, 1) == row);
      const auto k = static_cast<std::size_t>(row);
      CHECK(split.labels()[k] == made.labels[k / 10]);
      CHECK(split.item_labels(1)[k] == made.labels[k / 10]);
      Ints ids(32);
      split.gather_tokens(1, Ints{static_cast<std::int32_t>(row)}, ids);
      const Words words = treebank_words(made.captions[k]);
      CHECK(text_of(ids, store.vocabulary(1)) ==
            std::accumulate(words.begin() + 1, words.end(), words[0],
                            [](const std::string& a, const std::string& b) { return a + " " + b; }));
      Reals pixels(static_cast<std::size_t>(kBirdPicture));
      split.gather(0, Ints{split.item(row, 0)}, pixels);
      const auto bytes = picture(made, row / 10);
      CHECK(std::ranges::equal(pixels, bytes,
                               [](float a, std::uint8_t b) { return std::lround(255 * a) == b; }));
    }
  }
}

TEST_CASE("birds: sizes that make no sense are refused") {
  const TempFolder folder;
  check_error(ErrorKind::usage, {"birds: 0 training"}, [&] { write_birds({0, 0, 10}, folder / "out"); });
  check_error(ErrorKind::usage, {"birds", "-1 test"}, [&] { write_birds({0, 10, -1}, folder / "out"); });
  check_error(ErrorKind::usage, {"birds", "1000000"}, [&] { write_birds({0, 10, 1000001}, folder / "out"); });
  CHECK(folder.listing().empty());
  write_birds({0, 60, 0}, folder / "out");
  CHECK_FALSE(Store::open(folder / "out").has_split("test"));
}

}  // namespace
}  // namespace mld::data
