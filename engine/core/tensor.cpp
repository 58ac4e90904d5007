#include "engine/core/tensor.h"

#include <array>
#include <cstring>
#include <limits>
#include <utility>

#include "engine/cuda/runtime.h"
#include "engine/loops/drivers.h"
#include "engine/loops/strips.h"
#include "engine/memory/sim.h"

namespace mld {
namespace {

template <class T>
struct Set {
  T* to;
  T value;
  MLD_HD void operator()(std::int64_t i) const { to[i] = value; }
};

}  // namespace

Storage::Storage(Device device, std::size_t bytes)
    : pool_(active_pool(device)), bytes_(bytes), data_(pool_->allocate(bytes)) {}

Storage::~Storage() { pool_->release(data_, bytes_); }

Tensor Tensor::empty(Shape shape, DType dtype, Device device) {
  std::int64_t bytes = dtype_size(dtype);
  for (std::int64_t extent : shape.extents())
    MLD_CHECK(!__builtin_mul_overflow(bytes, extent, &bytes), "tensor: ", shape,
              " overflows the address space");
  Tensor t;
  t.storage_ = std::make_shared<Storage>(device, static_cast<std::size_t>(bytes));
  t.shape_ = std::move(shape);
  t.dtype_ = dtype;
  t.device_ = device;
  return t;
}

Tensor Tensor::zeros(Shape shape, DType dtype, Device device) {
  Tensor t = empty(std::move(shape), dtype, device);
  t.zero();
  return t;
}

Tensor Tensor::full(Shape shape, double value, DType dtype, Device device) {
  Tensor t = empty(std::move(shape), dtype, device);
  const auto fill = [&]<class T>() {
    for_each(device, t.numel(), Set<T>{t.ptr<T>(), static_cast<T>(value)});
  };
  switch (dtype) {
    case DType::f32:
      fill.template operator()<float>();
      break;
    case DType::f64:
      fill.template operator()<double>();
      break;
    case DType::i32:
      fill.template operator()<std::int32_t>();
      break;
    case DType::u8:
      fill.template operator()<std::uint8_t>();
      break;
  }
  return t;
}

Tensor Tensor::from_bytes(const void* values, std::int64_t count, Shape shape, DType dtype, Device device) {
  MLD_CHECK(count == shape.numel(), "tensor: ", count, " values for shape ", shape);
  Tensor t = empty(std::move(shape), dtype, device);
  t.upload(values);
  return t;
}

void Tensor::upload(const void* host) const {
  if (numel() == 0) return;
  if constexpr (kCudaBuilt)
    if (device_.kind == DeviceKind::cuda)
      return cuda::upload(device_, raw(), host, static_cast<std::size_t>(bytes()));
  synchronize(device_);
  std::memcpy(raw(), host, static_cast<std::size_t>(bytes()));
}

void Tensor::download(void* host) const {
  if (numel() == 0) return;
  if constexpr (kCudaBuilt)
    if (device_.kind == DeviceKind::cuda)
      return cuda::download(device_, host, raw(), static_cast<std::size_t>(bytes()));
  synchronize(device_);
  std::memcpy(host, raw(), static_cast<std::size_t>(bytes()));
}

double Tensor::item() const {
  MLD_CHECK(defined() && numel() == 1, "tensor: item() needs exactly one element, shape is ", shape_);
  if (device_.kind == DeviceKind::cuda) return to(kCpu).item();
  switch (dtype_) {
    case DType::f32:
      return *data<float>();
    case DType::f64:
      return *data<double>();
    case DType::i32:
      return *data<std::int32_t>();
    case DType::u8:
      return *data<std::uint8_t>();
  }
  return 0;
}

Tensor Tensor::reshape(Shape shape) const {
  MLD_CHECK(shape.numel() == numel(), "reshape: ", shape_, " does not fit ", shape);
  Tensor t = *this;
  t.shape_ = std::move(shape);
  return t;
}

Tensor Tensor::rows(std::int64_t first, std::int64_t count) const {
  MLD_CHECK(shape_.rank() > 0 && first >= 0 && count >= 0 && first + count <= shape_[0], "rows: ", first, "+",
            count, " of ", shape_);
  Shape shape = shape_;
  shape[0] = count;
  return view(first * shape_.product(1, shape_.rank()), std::move(shape));
}

Tensor Tensor::view(std::int64_t first, Shape shape) const {
  MLD_CHECK(first >= 0 && first + shape.numel() <= numel(), "view: ", shape, " from element ", first, " of ",
            shape_);
  Tensor t = *this;
  t.offset_ += first * dtype_size(dtype_);
  t.shape_ = std::move(shape);
  return t;
}

Tensor Tensor::clone() const {
  Tensor t = empty(shape_, dtype_, device_);
  t.copy_from(*this);
  return t;
}

Tensor Tensor::to(Device device) const {
  if (device == device_) return *this;
  Tensor t = empty(shape_, dtype_, device);
  if (device.kind == DeviceKind::cuda) {
    const Tensor host = device_.kind == DeviceKind::cuda ? to(kCpu) : *this;
    synchronize(host.device_);
    t.upload(host.raw());
  } else {
    synchronize(device);
    download(t.raw());
  }
  return t;
}

Tensor Tensor::to(DType dtype) const {
  if (dtype == dtype_) return *this;
  MLD_CHECK(device_.kind == DeviceKind::cpu, "to: dtypes are converted on the cpu");
  Tensor t = empty(shape_, dtype);
  const auto read = [&]<class From>() {
    const auto write = [&]<class To>() {
      const From* s = data<From>();
      To* d = t.data<To>();
      for (std::int64_t i = 0; i < numel(); ++i) d[i] = static_cast<To>(s[i]);
    };
    switch (dtype) {
      case DType::f32:
        write.template operator()<float>();
        break;
      case DType::f64:
        write.template operator()<double>();
        break;
      case DType::i32:
        write.template operator()<std::int32_t>();
        break;
      case DType::u8:
        write.template operator()<std::uint8_t>();
        break;
    }
  };
  switch (dtype_) {
    case DType::f32:
      read.template operator()<float>();
      break;
    case DType::f64:
      read.template operator()<double>();
      break;
    case DType::i32:
      read.template operator()<std::int32_t>();
      break;
    case DType::u8:
      read.template operator()<std::uint8_t>();
      break;
  }
  return t;
}

void Tensor::copy_from(const Tensor& source) const {
  MLD_CHECK(source.shape_ == shape_ && source.dtype_ == dtype_ && source.device_ == device_,
            "copy: ", source.shape_, " ", dtype_name(source.dtype_), " (", source.device_, ") into ", shape_,
            " ", dtype_name(dtype_), " (", device_, ")");
  if (numel() == 0) return;
  if constexpr (kCudaBuilt)
    if (device_.kind == DeviceKind::cuda)
      return cuda::capturing(device_)  // kernels follow each other faster than copies do
                 ? copy_strips(device_, 1, std::array{Strip{source.raw(), raw(), bytes(), bytes(), bytes()}})
                 : cuda::copy(device_, raw(), source.raw(), static_cast<std::size_t>(bytes()));
  submit(device_, [to = raw(), from = source.raw(), n = static_cast<std::size_t>(bytes())] {
    std::memcpy(to, from, n);
  });
}

void Tensor::zero() const {
  if constexpr (kCudaBuilt)
    if (device_.kind == DeviceKind::cuda)
      return cuda::zero(device_, raw(), static_cast<std::size_t>(bytes()));
  submit(device_, [to = raw(), n = static_cast<std::size_t>(bytes())] { std::memset(to, 0, n); });
}

void Tensor::check_access(DType wanted) const {
  MLD_CHECK(defined(), "tensor: no memory behind this handle");
  MLD_CHECK(dtype_ == wanted, "tensor: holds ", dtype_name(dtype_), ", asked for ", dtype_name(wanted));
}

void Tensor::check_host() const {
  MLD_CHECK(device_.kind != DeviceKind::cuda, "tensor: host access to memory of ", device_,
            "; copy it with to(kCpu)");
  MLD_CHECK(!pending(device_), "tensor: host access while work is queued on ", device_,
            "; synchronize first");
}

}  // namespace mld
