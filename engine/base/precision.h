// Arithmetic of matrix products and convolutions on a GPU. Storage, sums, reductions, master weights and the
// optimiser are f32 whatever is chosen; the cpu always computes in f32.
//   fp32  f32 products
//   tf32  tensor cores with operands rounded to 10 bits of mantissa
//   bf16  tensor cores with operands rounded to bfloat16 (8 bits)
// One setting for the process: it decides which kernels a library picks, so change it before the first step.
#pragma once

#include <cstdint>
#include <string>

namespace mld {

enum class Precision : std::uint8_t { fp32, tf32, bf16 };

void set_precision(Precision precision);  // tf32 at the start
Precision precision();
const char* precision_name(Precision precision);
Precision parse_precision(const std::string& name);  // ErrorKind::usage for any other

}  // namespace mld
