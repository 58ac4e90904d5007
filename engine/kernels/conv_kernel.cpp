#include "engine/kernels/conv_kernel.h"

#include <vector>

#include "engine/base/error.h"
#include "engine/kernels/conv_patches.h"
#include "engine/kernels/gemm_kernel.h"
#include "engine/kernels/gemm_tiles.h"
#include "engine/threads/threads.h"

namespace mld::cpu {
namespace {

using i64 = std::int64_t;

constexpr i64 kTaskPositions = 256;  // of forward and backward_data: what a thread multiplies at once
constexpr i64 kStepPositions = 512;  // of backward_weights: K of one product

// Work space of one thread, kept between calls.
struct Workspace {
  Band band;
  Scratch panel, rows;
  std::vector<Segment> segments;
};
Workspace& workspace() {
  thread_local Workspace w;
  return w;
}

i64 blocks_of(i64 k) { return std::max<i64>(1, ceil_div(k, kGemmBlockK)); }

// A 1x1 convolution is the product of [pixels, I] and [I, O].
bool is_product(const ConvDims& s) {
  return s.kh == 1 && s.kw == 1 && s.sh == 1 && s.sw == 1 && s.ph == 0 && s.pw == 0;
}
// A convolution whose patches follow each other without overlap or gap is a product too. Returns it as a 1x1
// convolution, with lines as long as the number of patches allows, or s itself if it is none.
ConvDims as_product(const ConvDims& s) {
  const bool line = s.kh == 1 && s.sh == 1 && s.kw == s.w, image = s.kh == s.h && s.kw == s.w;
  if (s.ph != 0 || s.pw != 0 || !(is_product(s) || line || image)) return s;
  i64 n = is_product(s) ? s.n * s.h * s.w : line ? s.n * s.h : s.n, width = 1;
  for (; n > 0 && n % 2 == 0 && width < kStepPositions; n /= 2) width *= 2;
  return {n, 1, width, s.kh * s.kw * s.in, s.out};
}

Patches forward_patches(const ConvDims& s, const float* x) {
  return {x, s.n, s.h, s.w, s.in, s.kh, s.kw, s.sh, s.sw, s.ph, s.pw, s.out_h(), s.out_w()};
}

// out[n, p, q, :] = act(patch(n, p, q) * B + bias) for B [k, columns] packed in K blocks; strides in floats.
struct PatchProduct {
  Patches patches;
  i64 columns;
  const float* packed;
  float* out;
  i64 stride_n, stride_p, stride_q;
  const float* bias;
  Activation activation;
  bool accumulate;

  i64 task_lines() const { return patches.lines_of(kTaskPositions); }
  i64 tasks() const { return ceil_div(patches.lines(), task_lines()); }

  // A K block meets some rows of the kernel: each is a segment.
  int tile(const Band& band, i64 l0, i64 k0, i64 depth, i64 i, TileRows& rows, Segment* segments) const {
    const i64 length = std::max<i64>(1, patches.kw * patches.c);  // a phase may have no taps
    const i64 first = k0 / length, last = ceil_div(k0 + depth, length);
    i64 line = i / patches.pw, q = i % patches.pw, n = (l0 + line) / patches.ph, p = (l0 + line) % patches.ph;
    rows.add[0] = nullptr;
    for (int r = 0; r < rows.count; ++r) {
      rows.c[r] = out + n * stride_n + p * stride_p + q * stride_q;
      if (accumulate) rows.add[r] = rows.c[r];
      const i64 offset = q * patches.sw * patches.c;
      for (i64 s = first; s < last; ++s) segments[s - first].row[r] = band.row(line, s) + offset;
      if (++q < patches.pw) continue;
      q = 0, ++line;
      if (++p == patches.ph) p = 0, ++n;
    }
    for (i64 s = first; s < last; ++s) {
      const i64 skip = std::max<i64>(0, k0 - s * length);
      segments[s - first].length = std::min(length, k0 + depth - s * length) - skip;
      for (int r = 0; skip > 0 && r < rows.count; ++r) segments[s - first].row[r] += skip;
    }
    return static_cast<int>(last - first);
  }

  void run(i64 task, Workspace& w) const {
    const i64 l0 = task * task_lines(), l1 = std::min(patches.lines(), l0 + task_lines()), k = patches.size();
    w.band.load(patches, l0, l1);
    w.segments.resize(static_cast<std::size_t>(patches.kh + 1));
    for (i64 b = 0; b < blocks_of(k); ++b) {
      const i64 k0 = b * kGemmBlockK, depth = std::min(kGemmBlockK, k - k0);
      const bool last = b + 1 == blocks_of(k);
      multiply_block(
          {0, (l1 - l0) * patches.pw, 0, columns, depth, packed + k0 * padded_columns(columns), b == 0, last},
          bias, activation, w.segments.data(), [&](i64 i, TileRows& rows, Segment* segments) {
            return tile(w.band, l0, k0, depth, i, rows, segments);
          });
    }
  }
};

// The part of dx whose pixels are (a + sh * i, b + sw * j): a convolution of dy with stride 1 and every
// sh-th, sw-th tap of the kernel, from (r0, t0) on, in reverse order.
struct Phase {
  i64 a, b, r0, t0;
  Patches patches;

  Phase(const ConvDims& s, i64 index, const float* dy) {
    a = index / s.sw, b = index % s.sw;
    r0 = (a + s.ph) % s.sh, t0 = (b + s.pw) % s.sw;
    const i64 kh = ceil_div(std::max<i64>(0, s.kh - r0), s.sh),
              kw = ceil_div(std::max<i64>(0, s.kw - t0), s.sw);
    const i64 top = kh - 1 - (a + s.ph - r0) / s.sh, left = kw - 1 - (b + s.pw - t0) / s.sw;
    const i64 ph = ceil_div(std::max<i64>(0, s.h - a), s.sh), pw = ceil_div(std::max<i64>(0, s.w - b), s.sw);
    patches = {dy, s.n, s.out_h(), s.out_w(), s.out, kh, kw, 1, 1, top, left, ph, pw};
  }

  // B [k = (tap, o), i] in panels.
  void pack(const ConvDims& s, const float* w, float* packed) const {
    const i64 k = patches.size();
    for (i64 k0 = 0; k0 < k; k0 += kGemmBlockK) {
      const i64 depth = std::min(kGemmBlockK, k - k0);
      for (i64 j = 0; j < s.in; j += kPanelColumns) {
        const i64 columns = std::min<i64>(kPanelColumns, s.in - j), width = padded_columns(columns);
        float* to = packed + k0 * padded_columns(s.in) + j * depth;
        for (i64 p = k0; p < k0 + depth; ++p, to += width) {
          const i64 o = p % s.out, tap = p / s.out;
          const i64 r = r0 + s.sh * (patches.kh - 1 - tap / patches.kw);
          const i64 t = t0 + s.sw * (patches.kw - 1 - tap % patches.kw);
          std::copy_n(w + ((o * s.kh + r) * s.kw + t) * s.in + j, columns, to);
          std::fill(to + columns, to + width, 0.0f);
        }
      }
    }
  }
};

void backward_data_by_phases(const ConvDims& s, const float* dy, const float* w, const float* bias,
                             Activation activation, bool accumulate, float* dx) {
  thread_local Scratch scratch;
  thread_local std::vector<Phase> phases;
  thread_local std::vector<PatchProduct> products;
  float* packed = scratch.get(s.kh * s.kw * s.out * padded_columns(s.in));
  phases.clear();
  products.clear();
  i64 tasks = 0;
  for (i64 i = 0; i < s.sh * s.sw; ++i) {
    const Phase f(s, i, dy);
    if (f.patches.ph == 0 || f.patches.pw == 0) continue;
    phases.push_back(f);
    products.push_back({f.patches, s.in, packed, dx + (f.a * s.w + f.b) * s.in, s.h * s.w * s.in,
                        s.sh * s.w * s.in, s.sw * s.in, bias, activation, accumulate});
    packed += f.patches.size() * padded_columns(s.in);
    tasks = std::max(tasks, products.back().tasks());
  }
  const auto count = static_cast<i64>(phases.size());
  const Phase* const phase =
      phases.data();  // the lambdas run on other threads, which have vectors of their own
  const PatchProduct* const product = products.data();
  const int threads = worthwhile_threads(s.n * s.out_h() * s.out_w() * s.out * s.kh * s.kw * s.in);
  parallel_for(
      count, [&, phase, product](i64 i) { phase[i].pack(s, w, const_cast<float*>(product[i].packed)); },
      threads);
  parallel_for(
      tasks * count,
      [=](i64 t) {
        if (t / count < product[t % count].tasks()) product[t % count].run(t / count, workspace());
      },
      threads);
}

// One sample of dx as dy [positions, O] * w [O, kh*kw*I], each row of the product added to the patch it
// belongs to. For few channels I, where phases would waste most of a vector.
void backward_data_by_patches(const ConvDims& s, const float* dy, const float* packed, const float* bias,
                              Activation activation, bool accumulate, float* dx, Workspace& ws) {
  constexpr i64 kPositions = 64;
  const i64 oh = s.out_h(), ow = s.out_w(), size = s.kh * s.kw * s.in, length = s.kw * s.in;
  const i64 rows = (oh - 1) * s.sh + s.kh, width = ((ow - 1) * s.sw + s.kw) * s.in;
  const i64 step = std::max<i64>(1, kPositions / ow);
  float* const image = ws.rows.get(rows * width);
  float* const product = ws.panel.get(std::min(step, oh) * ow * size);
  std::fill_n(image, rows * width, 0.0f);
  for (i64 p0 = 0; p0 < oh; p0 += step) {
    const i64 p1 = std::min(oh, p0 + step);
    for (i64 b = 0; b < blocks_of(s.out); ++b) {
      const i64 k0 = b * kGemmBlockK, depth = std::min(kGemmBlockK, s.out - k0);
      Segment segment;
      multiply_block({0, (p1 - p0) * ow, 0, size, depth, packed + k0 * padded_columns(size), b == 0, false},
                     nullptr, {}, &segment, [&](i64 i, TileRows& tile, Segment* g) {
                       g->length = depth;
                       tile.add[0] = nullptr;
                       for (int r = 0; r < tile.count; ++r) {
                         g->row[r] = dy + (p0 * ow + i + r) * s.out + k0;
                         tile.c[r] = product + (i + r) * size;
                       }
                       return 1;
                     });
    }
    for (i64 p = p0; p < p1; ++p)
      for (i64 q = 0; q < ow; ++q) {
        const float* from = product + ((p - p0) * ow + q) * size;
        for (i64 r = 0; r < s.kh; ++r, from += length) {
          float* to = image + (p * s.sh + r) * width + q * s.sw * s.in;
#pragma GCC ivdep
          for (i64 e = 0; e < length; ++e) to[e] += from[e];
        }
      }
  }
  for (i64 i = 0; i < s.h; ++i) {
    float* const to = dx + i * s.w * s.in;
    const i64 reached = i + s.ph < rows ? std::clamp<i64>(width - s.pw * s.in, 0, s.w * s.in) : 0;
    const float* const from = image + (i + s.ph) * width + s.pw * s.in;
    if (!accumulate) std::fill_n(to, s.w * s.in, 0.0f);
    for (i64 e = 0; e < reached; ++e) to[e] += from[e];
    for (i64 e = 0; bias != nullptr && e < s.w * s.in; e += s.in)
      for (i64 c = 0; c < s.in; ++c) to[e + c] += bias[c];
    if (activation.kind == Act::none) continue;
    with_activation(activation, [&](auto f) {
      for (i64 e = 0; e < s.w * s.in; ++e) to[e] = f.value(to[e]);
    });
  }
}

// One panel of patches: dst[i * width + j] = element j0 + j of the patch at position i of the
// lines of the band.
void pack_patches(const Patches& p, const Band& band, i64 lines, i64 j0, i64 columns, float* dst) {
  const i64 width = padded_columns(columns), length = p.kw * p.c, pixel = p.sw * p.c;
  for (i64 j = 0; j < columns;) {
    const i64 r = (j0 + j) / length, offset = (j0 + j) % length,
              count = std::min(length - offset, columns - j);
    float* to = dst + j;
    for (i64 line = 0; line < lines; ++line) {
      const float* from = band.row(line, r) + offset;
      for (i64 q = 0; q < p.pw; ++q, from += pixel, to += width) copy_short(from, count, to);
    }
    j += count;
  }
  if (columns < width)
    for (i64 i = 0; i < lines * p.pw; ++i) std::fill(dst + i * width + columns, dst + (i + 1) * width, 0.0f);
}

// Columns [j0, j1) of dw over lines [l0, l1) in steps, written to or added to `dw`.
void backward_weights_part(const Patches& p, i64 out, const float* dy, i64 l0, i64 l1, i64 step, i64 j0,
                           i64 j1, bool add, float* dw, Workspace& w) {
  const i64 k = p.size();
  float* const tiles = w.rows.get(ceil_div(out, kTileRows) * kTileRows * step * p.pw);
  float* const packed = w.panel.get(std::max<i64>(strip_columns(1), kPanelColumns * step * p.pw));
  for (i64 l = l0; l < l1; l += step) {
    const i64 lines = std::min(l1, l + step) - l, depth = lines * p.pw;
    w.band.load(p, l, l + lines);
    pack_tiles(dy + l * p.pw * out, out, 0, out, 0, depth, tiles);
    for (i64 j = j0; j < j1; j += strip_columns(depth)) {
      const i64 end = std::min(j1, j + strip_columns(depth));
      for (i64 q = j; q < end; q += kPanelColumns)
        pack_patches(p, w.band, lines, q, std::min<i64>(kPanelColumns, end - q), packed + (q - j) * depth);
      Segment segment;
      multiply_block({0, out, j, end, depth, packed, !add && l == l0, false}, nullptr, {}, &segment,
                     [&](i64 i, TileRows& rows, Segment* s) {
                       rows.add[0] = nullptr;
                       s->length = depth;
                       s->step = kTileRows;
                       for (int r = 0; r < rows.count; ++r) {
                         s->row[r] = tiles + i * depth + r;
                         rows.c[r] = dw + (i + r) * k;
                       }
                       return 1;
                     });
    }
  }
}

// sum[i] = or += the parts' element i, in order of the parts.
void join_parts(const float* partial, i64 parts, i64 stride, i64 count, bool add, float* sum) {
  if (!add) std::fill_n(sum, count, 0.0f);
  for (i64 p = 0; p < parts; ++p)
    for (i64 i = 0; i < count; ++i) sum[i] += partial[p * stride + i];
}

}  // namespace

void check_conv(const ConvDims& s) {
  const bool sizes = s.n >= 0 && s.h > 0 && s.w > 0 && s.in > 0 && s.out > 0 && s.kh > 0 && s.kw > 0 &&
                     s.sh > 0 && s.sw > 0 && s.ph >= 0 && s.pw >= 0;
  MLD_CHECK(sizes && s.h + 2 * s.ph >= s.kh && s.w + 2 * s.pw >= s.kw, "conv: x [", s.n, ",", s.h, ",", s.w,
            ",", s.in, "], weights [", s.out, ",", s.kh, ",", s.kw, ",", s.in, "], stride ", s.sh, "x", s.sw,
            ", padding ", s.ph, "x", s.pw,
            ": sizes must be positive and the kernel must fit into the padded image");
}

void conv_forward(const ConvDims& dims, const float* x, const float* w, const float* bias,
                  Activation activation, float* y) {
  check_conv(dims);
  const ConvDims s = as_product(dims);
  if (is_product(s))
    return gemm(s.n * s.w, s.out, s.in, {x, s.in}, {w, s.in, true}, y, s.out,
                {.bias = bias, .activation = activation});
  thread_local Scratch scratch;
  const Patches patches = forward_patches(s, x);
  const i64 k = patches.size(), row = patches.pw * s.out;
  float* const packed = scratch.get(k * padded_columns(s.out));
  const PatchProduct product{patches, s.out, packed, y,          patches.ph * row,
                             row,     s.out, bias,   activation, false};
  const i64 tasks = product.tasks(), packs = blocks_of(k);
  const int threads = worthwhile_threads(patches.lines() * row * k);
  const auto pack = [&](i64 b) {
    pack_block({w, k, true}, 0, s.out, b * kGemmBlockK, std::min(kGemmBlockK, k - b * kGemmBlockK),
               packed + b * kGemmBlockK * padded_columns(s.out));
  };
  parallel_for(packs, pack, threads);
  parallel_for(
      tasks, [&](i64 t) { product.run(t, workspace()); }, threads);
}

void conv_backward_data(const ConvDims& dims, const float* dy, const float* w, const float* bias,
                        Activation activation, bool accumulate, float* dx) {
  check_conv(dims);
  const ConvDims s = as_product(dims);
  thread_local Scratch scratch;
  if (is_product(s)) {
    float* const biases = bias == nullptr ? nullptr : scratch.get(s.in);  // [pixels of a patch, I]
    for (i64 i = 0; biases != nullptr && i < s.in; i += dims.in) std::copy_n(bias, dims.in, biases + i);
    return gemm(s.n * s.w, s.in, s.out, {dy, s.out}, {w, s.in}, dx, s.in,
                {.bias = biases, .add = accumulate ? dx : nullptr, .add_ld = s.in, .activation = activation});
  }
  const i64 taps = s.kh * s.kw, size = taps * s.in;
  if (2 * taps * padded_columns(s.in) < 3 * padded_columns(size))
    return backward_data_by_phases(s, dy, w, bias, activation, accumulate, dx);
  float* const packed = scratch.get(s.out * padded_columns(size));
  for (i64 k0 = 0; k0 < s.out; k0 += kGemmBlockK)
    pack_block({w, size}, 0, size, k0, std::min(kGemmBlockK, s.out - k0), packed + k0 * padded_columns(size));
  const i64 dy_sample = s.out_h() * s.out_w() * s.out, dx_sample = s.h * s.w * s.in;
  const auto sample = [&](i64 n) {
    backward_data_by_patches(s, dy + n * dy_sample, packed, bias, activation, accumulate, dx + n * dx_sample,
                             workspace());
  };
  parallel_for(s.n, sample, worthwhile_threads(s.n * dy_sample * size));
}

void conv_backward_weights(const ConvDims& dims, const float* x, const float* dy, bool accumulate,
                           float* dw) {
  check_conv(dims);
  constexpr i64 kTasks = 16, kMinPanels = 6;
  const ConvDims s = as_product(dims);
  thread_local Scratch scratch;
  const Patches p = forward_patches(s, x);
  const i64 k = p.size(), size = s.out * k, lines = p.lines(), step = p.lines_of(kStepPositions);
  if (lines == 0) {
    if (!accumulate) std::fill_n(dw, size, 0.0f);
    return;
  }
  // The batch is cut in parts, whose sums are joined in order; if that gives too few tasks, the columns of dw
  // are cut as well. Both depend on the shape alone.
  const i64 part_lines = ceil_div(ceil_div(lines, step), kTasks) * step;
  const i64 parts = ceil_div(lines, part_lines);
  const i64 group =
      std::max(kMinPanels, ceil_div(ceil_div(k, kPanelColumns), ceil_div(kTasks, parts))) * kPanelColumns;
  const i64 groups = ceil_div(k, group);
  float* const partial = parts > 1 ? scratch.get(parts * size) : dw;
  const int threads = worthwhile_threads(lines * p.pw * size);
  const auto product = [&](i64 t) {
    const i64 part = t / groups, j0 = t % groups * group;
    backward_weights_part(p, s.out, dy, part * part_lines, std::min(lines, (part + 1) * part_lines), step, j0,
                          std::min(k, j0 + group), parts == 1 && accumulate,
                          parts > 1 ? partial + part * size : dw, workspace());
  };
  parallel_for(parts * groups, product, threads);
  if (parts == 1) return;
  constexpr i64 kStretch = 4096;
  const auto join = [&](i64 stretch) {
    const i64 i0 = stretch * kStretch;
    join_parts(partial + i0, parts, size, std::min(kStretch, size - i0), accumulate, dw + i0);
  };
  parallel_for(ceil_div(size, kStretch), join, threads);
}

}  // namespace mld::cpu
