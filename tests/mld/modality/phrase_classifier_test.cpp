#include "mld/modality/phrase_classifier.h"

#include <doctest/doctest.h>

#include "data/text/vocabulary.h"
#include "tests/expect_error.h"

namespace mld {
namespace {

data::Description coloured() {
  data::Description d;
  d.classes = 4;
  d.attributes = {{"colour", {{"red", {"red", "dark red"}}, {"blue", {"blue"}}}},
                  {"tail", {{"none", {"no tail"}}, {"some", {"tail", "tails"}}}}};
  return d;
}

TEST_CASE("phrases: words in front of the end are read, the rest is not") {
  const std::vector<std::string> words{"<exc>", "<pad>", "<eos>", "a", "red", "bird", "no", "tail", "blue"};
  const PhraseClassifier classifier(coloured(), words);
  const auto read = [&](std::vector<std::int32_t> ids) {
    ids.resize(8, data::kPadding);
    return classifier.values(Tensor::from(ids, {1, 8}));
  };
  constexpr std::int32_t kEnd = data::kEndOfText;
  CHECK(read({3, 4, 5, 7, kEnd}) == std::vector<std::int32_t>{0, 1});
  CHECK(read({3, 8, 5, 6, 7, kEnd}) == std::vector<std::int32_t>{1, 0});
  CHECK(read({3, 4, 5, kEnd, 7}) == std::vector<std::int32_t>{0, -1});
  CHECK(read({4, 8, 7, kEnd}) == std::vector<std::int32_t>{-1, 1});  // two colours
  CHECK(read({4, 0, 7, kEnd}) == std::vector<std::int32_t>{0, 1});
  const Tensor two = Tensor::from(std::vector<std::int32_t>{4, 7, 8, 6}, {2, 2});
  CHECK(classifier.values(two) == std::vector<std::int32_t>{0, 1, 1, -1});
  std::vector<std::string> others = words;
  others[4] = "crimson";
  CHECK(classifier.hash() == PhraseClassifier(coloured(), words).hash());
  CHECK(classifier.hash() != PhraseClassifier(coloured(), others).hash());
}

TEST_CASE("phrases: the end is where the vocabulary says") {
  const PhraseClassifier classifier(coloured(), {"red", "tail", "blue", "<eos>"});
  CHECK(classifier.values(Tensor::from(std::vector<std::int32_t>{2, 1, 3, 0, -1, -1, -1, -1}, {2, 4})) ==
        std::vector<std::int32_t>{1, 1, -1, -1});
}

TEST_CASE("phrases: what has no words or no attributes is refused") {
  ModalityConfig config;
  config.name = "caption";
  config.classifier = ClassifierKind::phrases;
  data::Modality info;
  info.kind = data::ModalityKind::tokens;
  info.vocabulary = "caption.txt";
  CHECK_NOTHROW(PhraseClassifier::check(config, info, coloured()));
  const auto refused = [&](const data::Modality& m, const data::Description& d) {
    return test::error_of(ErrorKind::usage, [&] { PhraseClassifier::check(config, m, d); });
  };
  CHECK(test::contains(refused(info, {}), "modalities.caption.classifier=none"));
  data::Description silent = coloured();
  for (data::Attribute::Value& value : silent.attributes[1].values) value.phrases.clear();
  CHECK(test::contains(refused(info, silent), "attribute 'tail'"));
  info.vocabulary.clear();
  CHECK(test::contains(refused(info, coloured()), "no words"));
}

}  // namespace
}  // namespace mld
