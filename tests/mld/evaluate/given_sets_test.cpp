#include "mld/evaluate/choice/given_sets.h"

#include <doctest/doctest.h>

#include "tests/expect_error.h"

namespace mld {

TEST_CASE("given sets: sizes, names, all but one") {
  const std::vector<std::string> names{"image", "sound", "path"}, two{"a", "b"};
  const auto sets = [&](const char* text) { return parse_given_sets(text, names); };
  CHECK(sets("") == std::vector<Subset>{1, 2, 4, 3, 5, 6});
  CHECK(sets("all") == sets(""));
  CHECK(sets("1") == std::vector<Subset>{1, 2, 4});
  CHECK(sets("2") == std::vector<Subset>{3, 5, 6});
  CHECK(sets("loo") == sets("2"));
  CHECK(sets("2,1") == sets("1,loo"));
  CHECK(sets("sound") == std::vector<Subset>{2});
  CHECK(sets("path+image,sound") == std::vector<Subset>{2, 5});
  CHECK(sets("image+path,1,path") == std::vector<Subset>{1, 2, 4, 5});
  CHECK(parse_given_sets("loo", two) == std::vector<Subset>{1, 2});

  CHECK(given_set_names(sets(""), names).empty());
  CHECK(given_set_names(sets("1,2"), names).empty());
  CHECK(given_set_names(sets("sound,path+image"), names) == std::vector<std::string>{"sound", "image,path"});

  for (const char* bad :
       {"0", "3", "17", "-1", "1.5", "picture", "image+picture", "image,sound+", ",", "1,,2", "1,"})
    CHECK(test::contains(test::error_of(ErrorKind::usage, [&] { sets(bad); }),
                         "is none of sizes 1 to 2, loo (all but one), all, or names of image, sound, path"));
  CHECK(test::contains(test::error_of(ErrorKind::usage, [&] { sets("image+sound+path"); }),
                       "nothing is left to generate"));
  CHECK(test::contains(
      test::error_of(ErrorKind::usage, [] { parse_given_sets("1", std::vector<std::string>{"a"}); }),
      "one modality"));
}

TEST_CASE("given sets: all of up to five modalities, of more those of one and of all but one") {
  CHECK(default_given_sets(1).empty());
  CHECK(default_given_sets(2) == std::vector<Subset>{1, 2});
  CHECK(default_given_sets(5).size() == 30);
  for (const int modalities : {6, 7, 16}) {
    const std::vector<Subset> sets = default_given_sets(modalities);
    CHECK(static_cast<int>(sets.size()) == 2 * modalities);
    for (const Subset set : sets) CHECK((std::popcount(set) == 1 || std::popcount(set) == modalities - 1));
  }
  std::vector<std::string> names;
  for (int i = 0; i < 6; ++i) names.push_back("m" + std::to_string(i));
  CHECK(parse_given_sets("all", names).size() == 62);
  CHECK(given_set_names(parse_given_sets("", names), names).size() == 12);
  CHECK(given_set_names(parse_given_sets("all", names), names).empty());
  CHECK(parse_given_sets("2", names).size() == 15);
}

}  // namespace mld
