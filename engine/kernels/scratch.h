// Working memory of row functors: private to the thread, kept between calls, never shared between devices.
#pragma once

#include <cstdint>
#include <vector>

namespace mld {

// `count` vectors of `columns` values with undefined contents. One Scratch<T> is alive per thread at a time.
template <class T>
class Scratch {
 public:
  Scratch(std::int64_t count, std::int64_t columns) : columns_(columns) {
    const auto size = static_cast<std::size_t>(count * columns);
    if (buffer().size() < size) buffer().resize(size);
    data_ = buffer().data();
  }
  T* operator[](std::int64_t i) const { return data_ + i * columns_; }

 private:
  static std::vector<T>& buffer() {
    static thread_local std::vector<T> b;
    return b;
  }
  std::int64_t columns_;
  T* data_;
};

}  // namespace mld
