#include "engine/loops/strips.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "engine/loops/drivers.h"

namespace mld {
namespace {

constexpr std::int64_t kPieceBytes = 1 << 16;  // what one thread of a CPU copies at a time

// kBytes bytes that a thread of a GPU moves at once. An array of bytes may overlay any type.
template <int kBytes>
struct alignas(kBytes) Word {
  std::byte bytes[kBytes];
};

// Word i of the strips side by side, row after row; everything is counted in words.
template <int kBytes>
struct CopyWord {
  struct Place {
    const Word<kBytes>* from;
    Word<kBytes>* to;
    std::int64_t from_stride, to_stride, first;  // first: word of a row
  };
  Place strips[kStripsAtOnce];
  std::int64_t width;  // of all strips together
  MLD_HD void operator()(std::int64_t i) const {
    const std::int64_t row = i / width, j = i % width;
    Place s = strips[0];
    for (int k = 1; k < kStripsAtOnce; ++k)
      if (j >= strips[k].first) s = strips[k];
    s.to[row * s.to_stride + j - s.first] = s.from[row * s.from_stride + j - s.first];
  }
};

template <int kBytes>
void copy_words(Device device, std::int64_t rows, std::span<const Strip> strips) {
  CopyWord<kBytes> copy{};
  for (std::size_t k = 0; k < strips.size(); ++k) {
    const Strip& s = strips[k];
    copy.strips[k] = {reinterpret_cast<const Word<kBytes>*>(s.from), reinterpret_cast<Word<kBytes>*>(s.to),
                      s.from_stride / kBytes, s.to_stride / kBytes, copy.width};
    copy.width += s.width / kBytes;
  }
  for (std::size_t k = strips.size(); k < kStripsAtOnce; ++k) copy.strips[k].first = copy.width;
  gpu::for_each(device, rows * copy.width, copy);
}

// In the largest words that everything is a multiple of.
void copy_on_gpu(Device device, std::int64_t rows, std::span<const Strip> strips) {
  std::uintptr_t all = 0;
  for (const Strip& s : strips)
    all |= static_cast<std::uintptr_t>(s.width | s.from_stride | s.to_stride) |
           reinterpret_cast<std::uintptr_t>(s.from) | reinterpret_cast<std::uintptr_t>(s.to);
  if (all % 16 == 0)
    copy_words<16>(device, rows, strips);
  else if (all % 4 == 0)
    copy_words<4>(device, rows, strips);
  else
    copy_words<1>(device, rows, strips);
}

void copy_on_host(Device device, std::int64_t rows, Strip s) {
  if (s.from_stride == s.width && s.to_stride == s.width) s.width *= std::exchange(rows, 1);
  const std::int64_t pieces = std::max<std::int64_t>(1, (s.width + kPieceBytes - 1) / kPieceBytes);
  for_each_host_row(device, rows * pieces, std::min(s.width, kPieceBytes), [=](std::int64_t task) {
    const std::int64_t row = task / pieces, first = task % pieces * kPieceBytes;
    const auto count = static_cast<std::size_t>(std::min(kPieceBytes, s.width - first));
    if (count > 0) std::memcpy(s.to + row * s.to_stride + first, s.from + row * s.from_stride + first, count);
  });
}

}  // namespace

void copy_strips(Device device, std::int64_t rows, std::span<const Strip> strips) {
  if (device.kind != DeviceKind::cuda) {
    for (const Strip& strip : strips) copy_on_host(device, rows, strip);
    return;
  }
  for (; !strips.empty(); strips = strips.subspan(std::min<std::size_t>(strips.size(), kStripsAtOnce)))
    copy_on_gpu(device, rows, strips.first(std::min<std::size_t>(strips.size(), kStripsAtOnce)));
}

}  // namespace mld
