// Shape of a dense row-major tensor: up to six extents, stored inline (no allocation).
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <ostream>
#include <span>
#include <string>

#include "engine/base/error.h"

namespace mld {

class Shape {
 public:
  static constexpr int kMaxRank = 6;

  Shape() = default;
  Shape(std::initializer_list<std::int64_t> extents) : Shape(std::span(extents.begin(), extents.size())) {}
  explicit Shape(std::span<const std::int64_t> extents) {
    for (std::int64_t extent : extents) push_back(extent);
  }

  int rank() const { return rank_; }
  std::int64_t operator[](int axis) const {
    return extents_[index(axis)];
  }  // negative axes count from the end
  std::int64_t& operator[](int axis) { return extents_[index(axis)]; }
  std::int64_t numel() const {
    std::int64_t n = 1;
    for (int i = 0; i < rank_; ++i) n *= extents_[static_cast<std::size_t>(i)];
    return n;
  }
  // Product of the extents [first, last).
  std::int64_t product(int first, int last) const {
    std::int64_t n = 1;
    for (int i = first; i < last; ++i) n *= (*this)[i];
    return n;
  }
  // Maps a possibly negative axis to 0..rank-1.
  int axis(int a) const {
    MLD_CHECK(a >= -rank_ && a < rank_, "shape: axis ", a, " is out of range for ", str());
    return a < 0 ? a + rank_ : a;
  }
  void push_back(std::int64_t extent) {
    MLD_CHECK(rank_ < kMaxRank, "shape: more than ", kMaxRank, " axes");
    MLD_CHECK(extent >= 0, "shape: negative extent ", extent);
    extents_[static_cast<std::size_t>(rank_++)] = extent;
  }
  std::span<const std::int64_t> extents() const { return {extents_.data(), static_cast<std::size_t>(rank_)}; }

  bool operator==(const Shape& other) const {
    if (rank_ != other.rank_) return false;
    for (int i = 0; i < rank_; ++i)
      if ((*this)[i] != other[i]) return false;
    return true;
  }
  std::string str() const {  // "[128,16]"
    std::string s = "[";
    for (int i = 0; i < rank_; ++i) {
      if (i > 0) s += ',';
      s += std::to_string((*this)[i]);
    }
    s += ']';
    return s;
  }

 private:
  std::size_t index(int a) const { return static_cast<std::size_t>(axis(a)); }

  std::array<std::int64_t, kMaxRank> extents_{};
  int rank_ = 0;
};

// [count, extents of one sample...]
inline Shape batch_shape(std::int64_t count, const Shape& sample) {
  Shape shape{count};
  for (std::int64_t extent : sample.extents()) shape.push_back(extent);
  return shape;
}

inline std::ostream& operator<<(std::ostream& out, const Shape& shape) { return out << shape.str(); }

}  // namespace mld
