#include "mld/modality/augment.h"

#include "engine/loops/drivers.h"
#include "mld/modality/change_draw.h"
#include "mld/modality/trivial_augment.h"

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
    const Words drawn = change_words(key, b, 0);
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

void move(const Tensor& x, const Tensor& out, const Augmentation& by, const data::ValueRange& range,
          const DrawKey& key) {
  const Shape& s = x.shape();
  for_each_row(x.device(), s[0], s.product(1, 4),
               AugmentPicture{x.ptr<float>(), out.ptr<float>(), static_cast<std::int32_t>(s[1]),
                              static_cast<std::int32_t>(s[2]), static_cast<std::int32_t>(s[3]),
                              static_cast<std::int32_t>(by.shift), static_cast<float>(by.gain),
                              static_cast<float>(by.offset), range.min, range.max, key});
}

}  // namespace

Augmentation augmentation(const ModalityConfig& modality, const StageConfig& stage,
                          const data::Modality& info) {
  const Augmentation by{stage.shift, stage.gain, stage.offset, stage.trivial_augment};
  const bool is_picture = info.kind == data::ModalityKind::image;
  const bool is_map = is_picture || info.kind == data::ModalityKind::spectrogram;
  MLD_CHECK_AS(ErrorKind::usage, !by.moves() || is_map, "modality '", modality.name,
               "': only pictures and spectrograms can be trained with shift, gain and offset, and this is ",
               data::kind_name(info.kind), " data; leave them at 0");
  MLD_CHECK_AS(ErrorKind::usage, !by.trivial || (is_picture && info.shape[2] == 3), "modality '",
               modality.name,
               "': only pictures of 3 channels can be trained with trivial_augment, and this is ",
               data::kind_name(info.kind), " data ", info.shape, "; leave trivial_augment at false");
  return by;
}

void augment(const Tensor& x, const Tensor& out, const Augmentation& by, const data::ValueRange& range,
             const DrawKey& key) {
  const Shape& s = x.shape();
  MLD_CHECK(s.rank() == 4 && out.shape() == s && out.raw() != x.raw(), "augment: x ", s, ", out ",
            out.shape(), "; expected two tensors [B,H,W,C]");
  if (!by.trivial) return move(x, out, by, range, key);
  const Tensor changed = by.moves() ? Tensor::empty(s, x.dtype(), x.device()) : out;
  trivial_augment(x, changed, range, draw_trivial_changes(s[0], key, x.device()));
  if (by.moves()) move(changed, out, by, range, key);
}

}  // namespace mld
