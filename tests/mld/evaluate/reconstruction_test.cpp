#include "mld/evaluate/reconstruction.h"

#include <doctest/doctest.h>

#include <cmath>

namespace mld {
namespace {

TEST_CASE("reconstruction: the root mean square error is that of the rows that are there") {
  data::Modality info;
  info.kind = data::ModalityKind::vector;
  info.shape = {2};
  ReconstructionErrors errors(info, {});
  CHECK_FALSE(errors.error());
  const Tensor x = Tensor::from(std::vector<float>{1, 2, 3, 4, 0, 0}, {3, 2}),
               y = Tensor::from(std::vector<float>{1, 4, 3, 7, 100, 100}, {3, 2});
  errors.add(x, y, std::vector<std::int64_t>{0, 1});
  CHECK(errors.items() == 2);
  REQUIRE(errors.error());
  CHECK(*errors.error() == doctest::Approx(std::sqrt((4 + 9) / 4.0)));
  CHECK_FALSE(errors.right());
  CHECK_FALSE(errors.whole());
}

TEST_CASE("reconstruction: of texts the words up to the end count, of other tokens all") {
  data::Modality info;
  info.kind = data::ModalityKind::tokens;
  info.shape = {4};
  const std::vector<std::string> words{"<exc>", "<pad>", "a", "<eos>"}, others{"a", "b", "c", "d"};
  constexpr std::int32_t kEnd = 3, kPad = 1;
  const std::vector<std::int32_t> real{5, 6, kEnd, kPad, 7, 8, 9, 5}, made{5, 7, kEnd, 2, 7, 8, 9, 5};
  const Tensor x = Tensor::from(real, {2, 4}), y = Tensor::from(made, {2, 4});
  ReconstructionErrors texts(info, words), tokens(info, others);
  for (ReconstructionErrors* e : {&texts, &tokens}) e->add(x, y, std::vector<std::int64_t>{0, 1});
  CHECK(*texts.right() == doctest::Approx(6.0 / 8));
  CHECK(*texts.words() ==
        doctest::Approx(6.0 / 7));  // 3 of the first text, 4 of the second, which has no end
  CHECK(*texts.whole() == doctest::Approx(0.5));
  CHECK_FALSE(texts.error());
  CHECK_FALSE(tokens.words());
  CHECK(*tokens.right() == *texts.right());
}

}  // namespace
}  // namespace mld
