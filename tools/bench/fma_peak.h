// The rate of fused multiply-adds that this machine reaches: what the share of peak of a benchmark
// refers to. The engine's own register tile runs on operands that stay in the first-level cache, so that
// nothing but the multiply-add units limits it. Measure it in the process, and between the rounds, of
// what it is compared with.
#pragma once

#include <cstdint>

#include "engine/kernels/gemm_tiles.h"
#include "engine/threads/threads.h"

namespace mld::bench {

class FmaPeak {
 public:
  explicit FmaPeak(int threads) : threads_(threads) {}

  double flops() const {  // of one run, about a millisecond
    return 2.0 * kDepth * kCalls * cpu::kTileRows * cpu::kPanelColumns * threads_;
  }
  void operator()() const {
    const auto multiply = [](std::int64_t) {
      alignas(64) static thread_local float panel[kDepth * cpu::kPanelColumns], row[kDepth],
          c[cpu::kTileRows * cpu::kPanelColumns];
      cpu::Segment segment{{}, kDepth};
      cpu::TileRows rows;
      rows.count = cpu::kTileRows;
      for (int i = 0; i < cpu::kTileRows; ++i) segment.row[i] = row, rows.c[i] = c + i * cpu::kPanelColumns;
      for (std::int64_t call = 0; call < kCalls; ++call)
        cpu::multiply_tile(rows, &segment, 1, panel, 0, cpu::kPanelColumns, false);
    };
    parallel_for(threads_, multiply, threads_);
  }

 private:
  static constexpr std::int64_t kDepth = 64, kCalls = 4000;
  int threads_;
};

}  // namespace mld::bench
