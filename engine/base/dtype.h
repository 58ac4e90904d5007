// Element types. f32 is what models run in; f64 exists for oracles on the CPU; i32 and u8 hold indices,
// tokens and stored bytes.
#pragma once

#include <cstdint>
#include <type_traits>

#include "engine/base/error.h"

namespace mld {

enum class DType : std::uint8_t { f32, f64, i32, u8 };

constexpr std::int64_t dtype_size(DType dtype) {
  switch (dtype) {
    case DType::f32:
    case DType::i32:
      return 4;
    case DType::f64:
      return 8;
    case DType::u8:
      return 1;
  }
  return 0;
}

constexpr const char* dtype_name(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return "f32";
    case DType::f64:
      return "f64";
    case DType::i32:
      return "i32";
    case DType::u8:
      return "u8";
  }
  return "?";
}

template <class T>
constexpr DType dtype_of() {
  if constexpr (std::is_same_v<T, float>) return DType::f32;
  if constexpr (std::is_same_v<T, double>) return DType::f64;
  if constexpr (std::is_same_v<T, std::int32_t>) return DType::i32;
  if constexpr (std::is_same_v<T, std::uint8_t>) return DType::u8;
}

// Calls f.template operator()<T>() with T = float or double.
template <class F>
decltype(auto) dispatch_float(DType dtype, const char* op, F&& f) {
  if (dtype == DType::f32) return f.template operator()<float>();
  MLD_CHECK(dtype == DType::f64, op, ": needs f32 or f64, got ", dtype_name(dtype));
  return f.template operator()<double>();
}

}  // namespace mld
