#include "mld/modality/batches.h"

#include <doctest/doctest.h>

#include <cstring>

#include "data/store/store_writer.h"
#include "mld/train/stage.h"
#include "tests/devices.h"
#include "tests/nn/helpers.h"

namespace mld {
namespace {

constexpr std::int64_t kItems = 23;

data::Modality modality(const std::string& name, data::ModalityKind kind, DType dtype, Shape shape) {
  data::Modality m;
  m.name = name;
  m.kind = kind;
  m.dtype = dtype;
  m.shape = shape;
  return m;
}

// 23 labelled vectors of 3 and sentences of 2 words out of 5, all different; some labels unknown.
void write_store(const std::filesystem::path& folder) {
  data::Description description;
  description.name = "batches";
  description.classes = 4;
  description.modalities = {modality("vector", data::ModalityKind::vector, DType::f32, {3}),
                            modality("words", data::ModalityKind::tokens, DType::i32, {2})};
  description.modalities[1].categories = 5;
  data::StoreWriter writer(folder, description);
  std::vector<float> vectors;
  std::vector<std::int32_t> words, labels;
  for (std::int32_t i = 0; i < kItems; ++i) {
    for (int j = 0; j < 3; ++j) vectors.push_back(static_cast<float>(10 * i + j));
    words.insert(words.end(), {i % 5, i / 5});
    labels.push_back(i % 6 == 5 ? -1 : i % 4);
  }
  writer.add_items("train", 0, vectors);
  writer.add_items("train", 1, words);
  writer.set_aligned_samples("train", kItems, labels);
  writer.commit();
}

bool equal(const Tensor& a, const Tensor& b) {
  return a.numel() == b.numel() &&
         std::memcmp(a.to(kCpu).raw(), b.to(kCpu).raw(), static_cast<std::size_t>(b.bytes())) == 0;
}

}  // namespace

TEST_CASE("batches: gathered on the device, filled ahead or filled in place, a step finds the same items") {
  const test::TempFolder folder;
  write_store(folder / "store");
  const data::Store store = data::Store::open(folder / "store");
  for (const Device device : test::test_devices())
    for (const bool resident : {true, false})
      for (int m = 0; m < 2; ++m) {
        CAPTURE(device);
        CAPTURE(resident);
        const data::Modality& info = store.modality(m);
        const ItemFeed feed(store.split("train"), m, info, StageSampling::items, true, 6, 5);
        Batches batches(feed, info, true, device, resident);
        StepState host;
        const Tensor state = Tensor::zeros({sizeof(StepState)}, DType::u8, device);
        for (const std::int64_t step : {0, 1, 2, 3, 4, 9, 10}) {
          host.step = step;
          state.upload(&host);
          batches.before(step);
          batches.within(reinterpret_cast<const StepState*>(state.raw()));
          const Tensor wanted = make_items(info, feed.rows().count);
          const Tensor labels = Tensor::empty({feed.rows().count}, DType::i32);
          feed.fill(step, wanted, labels);
          CHECK(equal(batches.items(), wanted));
          CHECK(equal(batches.labels(), labels));
          CHECK((wanted.dtype() == DType::i32) == (m == 1));
        }
      }
}

TEST_CASE("largest batch: found to a sixteenth by trying, 0 if none fits") {
  for (const std::int64_t limit : {0, 1, 2, 3, 7, 100, 511, 1023}) {
    int tries = 0;
    const std::int64_t found = largest_batch(1024, [&](std::int64_t batch) {
      ++tries;
      CHECK(batch < 1024);
      CHECK(batch >= 1);
      if (batch > limit) throw OutOfMemory("no");
    });
    CHECK(found <= limit);
    CHECK(limit - found <= limit / 16);
    CHECK(tries <= 16);
  }
  CHECK_THROWS_AS(largest_batch(8, [](std::int64_t) { fail(ErrorKind::device, "something else"); }), Error);
}

}  // namespace mld
