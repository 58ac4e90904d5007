// Tensor: a handle to dense row-major memory on a device. Copying copies the handle; there are no strides, so
// ptr()..ptr()+numel() is the tensor. It knows nothing of gradients (see tape.h).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/base/device.h"
#include "engine/base/dtype.h"
#include "engine/base/shape.h"
#include "engine/memory/pool.h"

namespace mld {

class Storage {
 public:
  Storage(Device device, std::size_t bytes);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  void* data() const { return data_; }

 private:
  std::shared_ptr<Pool> pool_;
  std::size_t bytes_;
  void* data_;
};

class Tensor {
 public:
  Tensor() = default;
  static Tensor empty(Shape shape, DType dtype = DType::f32, Device device = kCpu);
  static Tensor zeros(Shape shape, DType dtype = DType::f32, Device device = kCpu);
  static Tensor full(Shape shape, double value, DType dtype = DType::f32, Device device = kCpu);
  // Copies host values; their number must be the shape's.
  template <class T>
  static Tensor from(std::span<const T> values, Shape shape, Device device = kCpu) {
    return from_bytes(values.data(), static_cast<std::int64_t>(values.size()), std::move(shape),
                      dtype_of<T>(), device);
  }
  template <class T>
  static Tensor from(const std::vector<T>& values, Shape shape, Device device = kCpu) {
    return from(std::span<const T>(values), std::move(shape), device);
  }

  bool defined() const { return storage_ != nullptr; }
  const Shape& shape() const { return shape_; }
  DType dtype() const { return dtype_; }
  Device device() const { return device_; }
  std::int64_t numel() const { return defined() ? shape_.numel() : 0; }
  std::int64_t bytes() const { return numel() * dtype_size(dtype_); }

  // Pointer for kernels: valid in stream order only. Throws if T is not the element type.
  template <class T>
  T* ptr() const {
    check_access(dtype_of<T>());
    return reinterpret_cast<T*>(raw());
  }
  // Pointer for the host: throws on a cuda device, and if work that may write it is still queued.
  template <class T>
  T* data() const {
    check_host();
    return ptr<T>();
  }
  template <class T>
  std::span<T> span() const {
    return {data<T>(), static_cast<std::size_t>(numel())};
  }
  std::byte* raw() const { return static_cast<std::byte*>(storage_->data()) + offset_; }
  double item() const;  // the only element, as a double

  Tensor reshape(Shape shape) const;                          // same memory, same number of elements
  Tensor rows(std::int64_t first, std::int64_t count) const;  // along the leading axis, same memory
  Tensor view(std::int64_t first, Shape shape) const;         // elements from `first` on, same memory
  Tensor clone() const;
  Tensor to(Device device) const;              // the one copy between devices; returns *this if already there
  Tensor to(DType dtype) const;                // value conversion, on the cpu
  void copy_from(const Tensor& source) const;  // same shape, dtype and device
  void zero() const;
  void upload(const void* host) const;  // bytes() from host memory, which may be reused on return
  void download(void* host) const;      // bytes() to host memory, once what was submitted has run
  // Sole owner of its memory: may be overwritten in place.
  bool unique() const { return storage_.use_count() == 1; }

 private:
  static Tensor from_bytes(const void* values, std::int64_t count, Shape shape, DType dtype, Device device);
  void check_access(DType wanted) const;
  void check_host() const;

  std::shared_ptr<Storage> storage_;
  std::int64_t offset_ = 0;  // bytes
  Shape shape_;
  DType dtype_ = DType::f32;
  Device device_;
};

}  // namespace mld
