// What is, and what is not, data of the modality that a model was trained on.
#include "data/store/modality_check.h"

#include <doctest/doctest.h>

#include <functional>
#include <limits>
#include <vector>

#include "engine/base/error.h"
#include "tests/expect_error.h"

namespace mld::data {
namespace {

using namespace test;

Modality of_kind(ModalityKind kind, Shape shape, ValueRange range = {0, 1}) {
  Modality m;
  m.name = "m";
  m.kind = kind;
  m.shape = shape;
  m.range = range;
  return m;
}

Modality tokens(std::int64_t categories) {
  Modality m = of_kind(ModalityKind::tokens, {4});
  m.dtype = DType::i32;
  m.categories = categories;
  m.vocabulary = "words.txt";
  return m;
}

Modality sound() {
  Modality m = of_kind(ModalityKind::spectrogram, {32, 64});
  m.original_range = ValueRange{-100, 20};
  m.audio = AudioFrontEnd{16000, 1024, 512};
  return m;
}

using Change = std::function<void(Modality&)>;

void refused(const Modality& expected, const std::vector<std::string>& parts, const Change& change) {
  Modality found = expected;
  change(found);
  const std::string message =
      test::error_of(ErrorKind::data, [&] { check_same_modality(found, expected, "store"); });
  CHECK_MESSAGE(test::contains(message, "store: modality 'm' has "), message);
  for (const std::string& part : parts) CHECK_MESSAGE(test::contains(message, part), message);
}

void accepted(const Modality& expected, const Change& change) {
  Modality found = expected;
  change(found);
  CHECK_NOTHROW(check_same_modality(found, expected, "store"));
}

}  // namespace

TEST_CASE("modalities of another store: what does not mean the same is refused") {
  const Modality image = of_kind(ModalityKind::image, {8, 8, 3});
  Modality bytes = image;
  bytes.dtype = DType::u8;
  const Modality vector = of_kind(ModalityKind::vector, {3}, {-2, 2});
  Modality path = of_kind(ModalityKind::vector, {4});
  path.pen_path = true;

  for (const Modality& m : {image, bytes, vector, path, tokens(5), sound()}) accepted(m, [](Modality&) {});
  accepted(image, [](Modality& m) { m.name = "other", m.dtype = DType::u8; });
  accepted(bytes, [](Modality& m) { m.dtype = DType::f32; });
  refused(image, {"kind vector", "trained on image"}, [](Modality& m) { m.kind = ModalityKind::vector; });
  refused(image, {"shape [3,8,8]", "trained on [8,8,3]"}, [](Modality& m) { m.shape = {3, 8, 8}; });
  refused(image, {"values from 0 to 255", "trained on 0 to 1"}, [](Modality& m) { m.range = {0, 255}; });
  refused(image, {"values from -1 to 1"}, [](Modality& m) { m.range = {-1, 1}; });
  refused(image, {"values from 0 to 1.2"}, [](Modality& m) { m.range = {0, 1.2F}; });

  accepted(vector, [](Modality& m) { m.range = {-3, 1}; });
  refused(vector, {"values from 0 to 240"}, [](Modality& m) { m.range = {0, 240}; });
  refused(vector, {"values from 0 to 1,"}, [](Modality& m) { m.range = {0, 1}, m.dtype = DType::u8; });
  accepted(path, [](Modality& m) { m.range = {0.02F, 0.9F}; });
  refused(path, {"values from -1 to 1"}, [](Modality& m) { m.range = {-1, 1}; });

  refused(tokens(5), {"categories: 7", "trained on 5"}, [](Modality& m) { m.categories = 7; });
  refused(tokens(5), {"categories: 4"}, [](Modality& m) { m.categories = 4; });
  refused(tokens(5), {"'mots.txt'", "'words.txt'"}, [](Modality& m) { m.vocabulary = "mots.txt"; });
  refused(tokens(5), {"kind categorical"}, [](Modality& m) { m.kind = ModalityKind::categorical; });

  accepted(sound(), [](Modality& m) { m.original_range = ValueRange{-95, 18}; });
  accepted(sound(), [](Modality& m) { m.audio.reset(), m.original_range.reset(); });
  refused(sound(), {"stand for 0 to 1", "-100 to 20"}, [](Modality& m) {
    m.original_range = ValueRange{0, 1};
  });
  refused(sound(), {"22050 Hz", "16000 Hz"}, [](Modality& m) { m.audio->sample_rate = 22050; });
  refused(sound(), {"hop 256"}, [](Modality& m) { m.audio->hop = 256; });
}

TEST_CASE("types of arrays that samples can come in") {
  const auto fits = [](NpyType type, const Modality& m) {
    try {
      check_element_type(type, m, "x.npy");
      return true;
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::data);
      CHECK_MESSAGE(
          test::contains(error.what(), "x.npy: holds " + type.str() + ", but modality 'm' is of kind "),
          error.what());
      return false;
    }
  };
  const Modality image = of_kind(ModalityKind::image, {2, 2, 1});
  const Modality vector = of_kind(ModalityKind::vector, {4});
  Modality bytes = vector;
  bytes.dtype = DType::u8;
  for (const Modality& m : {image, vector, bytes, sound()}) {
    CHECK(fits({'f', 4}, m));
    CHECK(fits({'f', 8}, m));
    for (const NpyType type : {NpyType{'i', 8}, {'u', 2}, {'i', 4}, {'i', 1}, {'b', 1}})
      CHECK(!fits(type, m));
  }
  CHECK(fits({'u', 1}, image));
  CHECK(fits({'u', 1}, bytes));
  CHECK(!fits({'u', 1}, vector));
  CHECK(!fits({'u', 1}, sound()));
  for (const NpyType type : {NpyType{'i', 8}, {'i', 4}, {'u', 1}, {'u', 2}}) CHECK(fits(type, tokens(3)));
  for (const NpyType type : {NpyType{'f', 4}, {'f', 8}, {'b', 1}}) CHECK(!fits(type, tokens(3)));
}

TEST_CASE("values that are no samples of a modality") {
  const Modality image = of_kind(ModalityKind::image, {1, 2, 1});
  const Modality vector = of_kind(ModalityKind::vector, {2}, {-2, 2});
  Modality bytes = vector;
  bytes.dtype = DType::u8;
  Modality path = of_kind(ModalityKind::vector, {2});
  path.pen_path = true;
  const auto problem = [](const Modality& m, std::vector<float> values, const std::string& part) {
    const std::string found = value_problem(m, values);
    CHECK_MESSAGE((part.empty() ? found.empty() : test::contains(found, part)), found);
  };
  problem(image, {0, 1}, "");
  problem(image, {0.2F, 255.0F * (1.0F / 255)}, "");
  problem(image, {0, 255}, "values from 0 to 255, expected 0 to 1; scale");
  problem(image, {-1, 1}, "values from -1 to 1");
  problem(image, {0, 1.01F}, "values from 0 to 1.01");
  problem(image, {1e30F, 0}, "values from 0 to 1e+30");
  problem(image, {0, std::numeric_limits<float>::quiet_NaN()}, "value 1 is nan, not finite");
  problem(image, {-std::numeric_limits<float>::infinity(), 0}, "value 0 is -inf");
  problem(image, {}, "no values");
  CHECK(value_problem(image, std::vector<float>{-0.2F, 1.2F}, 0.25F).empty());
  CHECK(!value_problem(image, std::vector<float>{-0.5F, 0.5F}, 0.25F).empty());
  problem(sound(), {-80, 0}, "values from -80 to 0");
  problem(vector, {3, -5}, "");
  problem(vector, {0, 255}, "the training values lie in -2 to 2");
  problem(vector, {0, -1e30F}, "the training values lie in -2 to 2");
  problem(bytes, {0, 3}, "expected -2 to 2");
  problem(path, {0, 1.1F}, "");
  problem(path, {-1, 1}, "expected 0 to 1");
  problem(tokens(3), {0, 2}, "");
  problem(tokens(3), {0, 1.5F}, "value 1.5 is no category; expected whole numbers 0 to 2");
  problem(tokens(3), {-1, 1}, "value -1");
  problem(tokens(3), {3, 1}, "value 3");
  problem(tokens(3), {std::numeric_limits<float>::quiet_NaN()}, "value nan");
}

}  // namespace mld::data
