// What a loaded model answers, apart from whole samples and evaluations.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "mld/diffusion/sde.h"
#include "mld/evaluate/evaluate.h"
#include "mld/modality/item_feed.h"
#include "tests/mld/run_place.h"
#include "tests/nn/helpers.h"

namespace mld {
namespace {

namespace fs = std::filesystem;
using test::Place;

// Encodings of the items of modality i in a split, [N,D_i].
Tensor encodings(const Model& model, const data::Split& split, int i) {
  std::vector<std::int32_t> items(static_cast<std::size_t>(split.num_items(i)));
  for (std::size_t k = 0; k < items.size(); ++k) items[k] = static_cast<std::int32_t>(k);
  const Tensor batch = make_items(model.info(i), std::ssize(items));
  fill_items(split, i, model.info(i), items, batch);
  return model.encode(i, batch);
}

double distance(const Tensor& a, std::int64_t i, const Tensor& b, std::int64_t k) {
  double sum = 0;
  for (std::int64_t j = 0; j < a.shape()[1]; ++j)
    sum += std::pow(static_cast<double>(a.rows(i, 1).data<float>()[j]) -
                        static_cast<double>(b.rows(k, 1).data<float>()[j]),
                    2);
  return std::sqrt(sum);
}

}  // namespace

TEST_CASE("model: the noise a network predicts for a row depends on the times of that row alone") {
  for (const char* kind : {"mld", "inpaint", "uni"}) {
    CAPTURE(kind);
    Place p;
    p.run(p.out, {std::string("model.kind=") + kind, "score.prediction=velocity"});
    const Model model = Model::open(p.out);
    const bool one_time = std::string(kind) == "inpaint";
    const std::int64_t dim = model.layout().total, times = one_time ? 1 : 2;
    const Tensor r = test::random({3, dim}, 1, DType::f32);
    const Tensor tau =
        Tensor::from(std::vector<float>(one_time ? std::vector<float>{0.1f, 0.7f, 0.4f}
                                                 : std::vector<float>{0.1f, 0.3f, 0.7f, 0.2f, 0.4f, 0.9f}),
                     {3, times});
    const Tensor together = model.method().noise_prediction(r, tau);
    for (std::int64_t b = 0; b < 3; ++b) {
      const Tensor alone = model.method().noise_prediction(r.rows(b, 1).clone(), tau.rows(b, 1).clone());
      CHECK(test::host(together.rows(b, 1)) == test::host(alone));
    }
  }
}

TEST_CASE(
    "evaluate: what is missing from a sample is not among the unseen items that memorisation looks at") {
  test::TempFolder folder;
  const auto without_b = [](std::int64_t row) { return row % 3 != 0; };
  test::make_vectors(folder / "store", {.without_b = without_b});
  const Config config = test::vector_config(folder / "store");
  train({.config = config, .out = folder / "run"}, {});
  const Model model = Model::open(folder / "run");
  const data::Store store = data::Store::open(folder / "store");
  const Evaluation e =
      evaluate(model, store, {.sampling = sample_settings(config), .metrics = parse_metrics("memorisation")});
  REQUIRE(e.memorisation.size() == 2);
  for (const MemorisationCell& cell : e.memorisation) {
    CAPTURE(cell.target);
    const Tensor seen = encodings(model, store.split("train"), cell.target),
                 unseen = encodings(model, store.split("test"), cell.target);
    double sum = 0;
    for (std::int64_t i = 0; i < unseen.shape()[0]; ++i) {
      double nearest = std::numeric_limits<double>::infinity();
      for (std::int64_t k = 0; k < seen.shape()[0]; ++k)
        nearest = std::min(nearest, distance(unseen, i, seen, k));
      sum += nearest / static_cast<double>(unseen.shape()[0]);
    }
    CHECK(std::abs(cell.real - sum) < 1e-3);
  }
}

}  // namespace mld
