// Attributes: how a store describes them, and how texts are read by them.
#include "data/text/attributes.h"

#include <nlohmann/json.hpp>

#include "data/store/checksums.h"
#include "data/text/treebank.h"
#include "tests/data/arrays_fixture.h"
#include "tests/data/files.h"
#include "tests/data/store_fixture.h"

using namespace mld;
using namespace mld::data;
using namespace mld::test;

namespace {

using Words = std::vector<std::string>;

const std::vector<Attribute> kWings{
    {"colour", {{"red", {"red", "scarlet"}}, {"orange", {"orange"}}, {"dark", {"dark red", "black"}}}},
    {"bars", {{"without", {"no wing bars", "plain"}}, {"with", {"wing bars", "barred"}}}}};

Ints read(const std::string& text) { return AttributeReader(kWings).values(treebank_words(text)); }

Description winged() {
  Description d = describe();
  d.classes = 6;
  d.attributes = kWings;
  d.splits = {{"train", 4, 2, {2, 3, 1, 2, 2}}};
  return d;
}

void rejected(const std::string& from, const std::string& to, std::initializer_list<std::string> words) {
  check_error(ErrorKind::data, words, [&] {
    parse_description(replaced(nlohmann::json::parse(to_json(winged())).dump(), from, to), "dataset.json");
  });
}

}  // namespace

TEST_CASE("attributes: a text names values in any order, case and place") {
  CHECK(read("a red bird with wing bars.") == Ints{0, 1});
  CHECK(read("Barred wings on an Orange bird") == Ints{1, 1});
  CHECK(read("scarlet, yes red; plain") == Ints{0, 0});  // one value twice
  CHECK(read("plain red") == Ints{0, 0});
  CHECK(read("red") == Ints{0, -1});
  CHECK(read("a reddish bird whose wing has bars") == Ints{-1, -1});
  CHECK(read("") == Ints{-1, -1});
}

TEST_CASE("attributes: longer phrases first, no word twice") {
  CHECK(read("red, no wing bars") == Ints{0, 0});
  CHECK(read("red, no wing") == Ints{0, -1});
  CHECK(read("dark red wing bars") == Ints{2, 1});
  CHECK(read("dark orange wing bars") == Ints{1, 1});
  CHECK(read("no wing bars and wing bars") == Ints{-1, -1});
  // A word of two phrases: the longer one has it, of two of one length the one in front.
  const std::vector<Attribute> both{{"a", {{"x", {"red"}}, {"y", {"green sea"}}}},
                                    {"b", {{"x", {"red green"}}, {"y", {"blue"}}}}};
  CHECK(AttributeReader(both).values(Words{"red", "green", "sea"}) == Ints{-1, 0});
  CHECK(AttributeReader(both).values(Words{"green", "sea", "blue"}) == Ints{1, 1});
  CHECK(AttributeReader({}).values(Words{"red"}).empty());
}

TEST_CASE("attributes: classes are combinations of values, and back") {
  CHECK(class_of(Ints{0, 0}, kWings) == 0);
  CHECK(class_of(Ints{1, 0}, kWings) == 2);
  CHECK(class_of(Ints{2, 1}, kWings) == 5);
  CHECK(class_of(Ints{2, -1}, kWings) == -1);
  CHECK(class_of(Ints(), {}) == -1);
  for (std::int32_t label = 0; label < 6; ++label)
    CHECK(class_of(values_of_class(label, kWings), kWings) == label);
  CHECK(values_of_class(-1, kWings) == Ints{-1, -1});
  check_error(ErrorKind::internal, {"class 6"}, [] { values_of_class(6, kWings); });
  check_error(ErrorKind::internal, {"1 values of 2"}, [] { class_of(Ints{0}, kWings); });
}

TEST_CASE("attributes: dataset.json gives them back, and is what it was where there are none") {
  Description d = winged();
  CHECK(parse_description(to_json(d), "f") == d);
  d.fingerprint = "0123456789abcdef";
  CHECK(parse_description(to_json(d), "f") == d);
  d.attributes.clear();
  CHECK(to_json(d).find("attributes") == std::string::npos);
  // Equal data of another meaning are not equal; without attributes the fingerprint is that of before there were any.
  CHECK(fingerprint(winged(), {}) != fingerprint(d, {}));
  CHECK(fingerprint(d, {}) == "4726780e23f91c7c");
}

TEST_CASE("attributes: every mistake in dataset.json is named with its place") {
  rejected("\"classes\":6", "\"classes\":5", {"dataset.json: attributes: 6 combinations", "5 classes"});
  rejected("\"colour\"", "\"bars\"", {"attributes[1]: the name 'bars' occurs twice"});
  rejected("\"colour\"", "\"a colour\"", {"attributes[0]: name 'a colour'", "letters"});
  rejected("\"orange\",\"phrases\"", "\"red\",\"phrases\"",
           {"attributes[0].values[1]", "'red' occurs twice"});
  rejected("\"orange\",\"phrases\"", "\"\",\"phrases\"", {"attributes[0].values[1]: name ''"});
  rejected("\"barred\"", "\"plain\"", {"attributes[1].values[1].phrases: 'plain' occurs twice"});
  rejected("\"barred\"", "\"scarlet\"", {"attributes[1].values[1].phrases: 'scarlet' occurs twice"});
  for (const char* phrase :
       {"\"Barred\"", "\"\"", "\" barred\"", "\"barred \"", "\"two  bars\"", "\"a\\tb\""})
    rejected("\"barred\"", phrase, {"attributes[1].values[1].phrases", "lower case"});
  rejected("\"barred\"", "7", {"attributes[1].values[1].phrases", "strings"});
  rejected("\"values\":[", "\"valus\":[", {"attributes[0].values: missing"});
  rejected("\"phrases\":[", "\"words\":[],\"phrases\":[", {"attributes[0].values[0].words: unknown key"});
  Description d = winged();
  d.attributes[0].values.clear();
  check_error(ErrorKind::data, {"here: attributes[0]: no values"}, [&] { check(d, "here"); });
}

TEST_CASE("attributes: one's own arrays may have them") {
  const Arrays a;
  write_floats(a.in / "train/v.npy", {4, 1}, {1, 2, 3, 4});
  write_ints(a.in / "train/labels.npy", {4}, {0, 1, 2, 3});
  const std::string spec = R"({"classes": 4, "modalities": [{"name": "v"}], "attributes": [
      {"name": "first", "values": [{"name": "no", "phrases": ["low"]}, {"name": "yes", "phrases": ["high"]}]},
      {"name": "last", "values": [{"name": "no", "phrases": []}, {"name": "yes", "phrases": []}]}]})";
  write_bytes(a.in / "modalities.json", replaced(spec, "\"classes\": 4", "\"classes\": 5"));
  a.check_rejected(ErrorKind::data, {"attributes: 4 combinations", "5 classes"});
  write_bytes(a.in / "modalities.json", spec);
  const Description d = a.import().description();
  REQUIRE(d.attributes.size() == 2);
  CHECK(d.attributes[1].name == "last");
  CHECK(d.attributes[0].values[1].phrases == Words{"high"});
}
