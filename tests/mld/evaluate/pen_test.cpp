// Pen-image agreement of an evaluation, and its ceilings.
#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "data/pictures/render.h"
#include "engine/base/statistics.h"
#include "mld/evaluate/evaluate.h"
#include "mld/modality/item_feed.h"
#include "mld/train/train.h"
#include "tests/mld/workshop.h"

namespace mld {

TEST_CASE("coherence: pen agreement of real items, of reconstructed ones and of what is drawn") {
  const test::Workshop w;
  const Config config = test::tiny_config(w.store, {"stage1.steps=30"});
  REQUIRE(train({.config = config, .out = w.folder / "run"}, {}) == StageEnd::finished);
  const Model model = Model::open(w.folder / "run");
  const data::Store store = data::Store::open(w.store);
  EvaluationOptions options;
  options.sampling = sample_settings(config);
  const Evaluation e = evaluate(model, store, options);

  const int image = model.modality("image"), path = model.modality("trajectory");
  const data::Split& test = store.split("test");
  std::vector<std::int32_t> items(static_cast<std::size_t>(test.num_samples()));
  std::iota(items.begin(), items.end(), 0);
  const Tensor images = gather_items(test, image, model.info(image), items),
               paths = gather_items(test, path, model.info(path), items);
  const auto agreement = [&](const Tensor& x, const Tensor& y) {
    Moments all;
    for (std::int64_t k = 0; k < test.num_samples(); ++k)
      all.add(data::pen_image_agreement(x.rows(k, 1).span<float>(), y.rows(k, 1).span<float>(),
                                        *model.info(path).original_range));
    return all.mean();
  };
  REQUIRE(e.pen.size() == 8);  // jointly, and given all sets without one of the two
  CHECK(e.pen[0].how == "real");
  CHECK(e.pen[0].mean == agreement(images, paths));
  CHECK(e.pen[0].mean > 0.9);
  CHECK(e.pen[1].how == "reconstructed");
  CHECK(e.pen[1].mean == agreement(model.reconstruct(image, images), model.reconstruct(path, paths)));
  CHECK(e.pen[1].mean < e.pen[0].mean);
  CHECK(std::ranges::none_of(e.pen, [](const PenAgreement& p) { return p.how == "image,trajectory"; }));
}

}  // namespace mld
