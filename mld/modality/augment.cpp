#include "mld/modality/augment.h"

#include "engine/loops/drivers.h"
#include "engine/random/philox.h"

namespace mld {
namespace {

struct AugmentPicture {
  const float* x;
  float* out;
  std::int32_t height, width, channels;
  std::int32_t shift;
  float gain, offset, low, high;
  DrawKey key;

  template <class Team>
  MLD_HD void operator()(std::int64_t b, const Team& team) const {
    const std::uint64_t seed = key.state ? key.state->seed : key.seed;
    const auto step = key.state ? static_cast<std::uint32_t>(key.state->step) : key.step;
    const Words drawn = draw(seed, key.site, step, static_cast<std::uint32_t>(key.first_row + b), 0);
    const std::int32_t down = moved(drawn.v[0]), right = moved(drawn.v[1]);
    const float middle = 0.5f * (low + high), contrast = 1 + gain * (2 * u01(drawn.v[2]) - 1);
    const float brighter = offset * (high - low) * (2 * u01(drawn.v[3]) - 1);
    const std::int64_t size = std::int64_t{height} * width * channels;
    team.each(size, [=, h = height, w = width, n = channels, least = low, most = high, from = x + b * size,
                     to = out + b * size](std::int64_t i) {
      const auto pixel = static_cast<std::int32_t>(i / n), channel = static_cast<std::int32_t>(i % n);
      const std::int32_t row = held(pixel / w - down, h), column = held(pixel % w - right, w);
      const float value = from[(std::int64_t{row} * w + column) * n + channel];
      const float changed = (value - middle) * contrast + middle + brighter;
      to[i] = changed < least ? least : changed > most ? most : changed;
    });
  }
  MLD_HD std::int32_t moved(std::uint32_t word) const {
    const std::int32_t places = 2 * shift + 1,
                       k = static_cast<std::int32_t>(u01(word) * static_cast<float>(places));
    return (k < places ? k : places - 1) - shift;
  }
  MLD_HD static std::int32_t held(std::int32_t place, std::int32_t size) {
    return place < 0 ? 0 : place < size ? place : size - 1;
  }
};

}  // namespace

Augmentation augmentation(const ModalityConfig& modality, const StageConfig& stage,
                          const data::Modality& info) {
  const Augmentation by{stage.shift, stage.gain, stage.offset};
  const bool is_map = info.kind == data::ModalityKind::image || info.kind == data::ModalityKind::spectrogram;
  MLD_CHECK_AS(ErrorKind::usage, !by.changes() || is_map, "modality '", modality.name,
               "': only pictures and spectrograms can be trained with shift, gain and offset, and this is ",
               data::kind_name(info.kind), " data; leave them at 0");
  return by;
}

void augment(const Tensor& x, const Tensor& out, const Augmentation& by, const data::ValueRange& range,
             const DrawKey& key) {
  const Shape& s = x.shape();
  MLD_CHECK(s.rank() == 4 && out.shape() == s && out.raw() != x.raw(), "augment: x ", s, ", out ",
            out.shape(), "; expected two tensors [B,H,W,C]");
  for_each_row(x.device(), s[0], s.product(1, 4),
               AugmentPicture{x.ptr<float>(), out.ptr<float>(), static_cast<std::int32_t>(s[1]),
                              static_cast<std::int32_t>(s[2]), static_cast<std::int32_t>(s[3]),
                              static_cast<std::int32_t>(by.shift), static_cast<float>(by.gain),
                              static_cast<float>(by.offset), range.min, range.max, key});
}

}  // namespace mld
