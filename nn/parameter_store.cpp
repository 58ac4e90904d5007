#include <algorithm>
#include <cstring>
#include <set>
#include <utility>

#include "engine/base/hash.h"
#include "engine/loops/drivers.h"
#include "engine/ops/random.h"
#include "nn/parameter.h"

namespace mld::nn {
namespace {

constexpr std::int64_t kAlignment = 256;  // bytes
// Keeps initial values and training draws of one seed in different streams.
constexpr std::uint64_t kInitStream = 0x6d6c642d696e6974;

// Lays out the walked parts one after the other; returns the size of the arena in elements.
template <class T>
std::int64_t lay_out(const std::vector<Visitor::Named<T>>& parts, DType dtype,
                     std::vector<ParameterStore::Entry<T>>& entries) {
  const std::int64_t align = kAlignment / dtype_size(dtype);
  std::int64_t end = 0;
  for (const auto& [name, data] : parts) {
    entries.push_back({name, data, end});
    end += (data->shape.numel() + align - 1) / align * align;
  }
  return end;
}

// Names must differ, and a part must be visited once and belong to no other store.
void check_parts(const Visitor& walked) {
  std::set<std::string> names;
  std::set<const void*> seen;
  const auto check = [&](const auto& parts) {
    for (const auto& [name, data] : parts) {
      MLD_CHECK(names.insert(name).second, "parameter store: two parts of the model are named '", name, "'");
      MLD_CHECK(seen.insert(data.get()).second, "parameter store: '", name, "' is visited twice");
      MLD_CHECK(!data->packed, "parameter store: '", name, "' already belongs to a store");
    }
  };
  check(walked.parameters());
  check(walked.buffers());
}

// Values of one parameter as f32 in file order.
Tensor draw(const Parameter::Data& data, const std::string& name, std::uint64_t seed) {
  const Shape row{1, data.shape.numel()};
  Tensor values = Tensor::full(row, data.init.mean);
  if (data.init.kind == Init::Kind::constant) return values;
  const std::uint64_t stream = fnv1a(name);
  const DrawKey key{.seed = seed ^ kInitStream,
                    .step = static_cast<std::uint32_t>(stream >> 32U),
                    .site = static_cast<std::uint32_t>(stream)};
  const bool uniform = data.init.kind == Init::Kind::uniform;
  uniform ? fill_uniform(values, key) : fill_normal(values, key);
  const double scale = uniform ? 2 * data.init.spread : data.init.spread;
  const double shift = uniform ? data.init.mean - data.init.spread : data.init.mean;
  for (float& x : values.span<float>()) x = static_cast<float>(shift + scale * static_cast<double>(x));
  return values;
}

// Element i of the buffers; the first one's thread begins the step as well.
template <class T>
struct KeepBuffer {
  BeginStep begin;
  const T* now;
  T* kept;
  std::int64_t buffers;
  MLD_HD void operator()(std::int64_t i) const {
    if (i == 0) begin(0);
    if (i < buffers) kept[i] = now[i];
  }
};

// The same at its end: committing leaves `ok` as it is.
template <class T>
struct RestoreBuffer {
  CommitStep commit;
  T* now;
  const T* kept;
  std::int64_t buffers;
  MLD_HD void operator()(std::int64_t i) const {
    if (i == 0) commit(0);
    if (i < buffers) now[i] = commit.state->ok ? now[i] : kept[i];
  }
};

}  // namespace

ParameterStore::ParameterStore(Visitor walked, StoreOptions options)
    : options_(options), count_(walked.parameter_count()), sites_(walked.sites()) {
  check_parts(walked);
  const std::int64_t size = lay_out(walked.parameters(), options.dtype, parameters_);
  const std::int64_t buffers = lay_out(walked.buffers(), options.dtype, buffers_);
  const auto arena = [&](std::int64_t n) { return Tensor::zeros({n}, options.dtype, options.device); };
  value_ = arena(size);
  buffer_ = arena(buffers);
  if (options.ema) ema_ = arena(size);
  if (options.training) {
    grad_ = arena(size);
    adam_m_ = arena(size);
    adam_v_ = arena(size);
    buffer_kept_ = arena(buffers);
  }
  for (const auto& [name, data, first] : parameters_) {
    data->packed = true;
    if (options.training) data->sink.grad = grad_.view(first, data->shape);
  }
  for (const auto& entry : buffers_) entry.data->packed = true;
}

ParameterStore::~ParameterStore() {
  for (const auto& entry : parameters_) {
    entry.data->packed = false;
    entry.data->value = {};
    entry.data->sink = {};
  }
  for (const auto& entry : buffers_) {
    entry.data->packed = false;
    entry.data->value = {};
  }
}

void ParameterStore::initialize(std::uint64_t seed) {
  const Tensor values = Tensor::zeros(value_.shape(), options_.dtype);
  for (const auto& [name, data, first] : parameters_) {
    const Tensor file = draw(*data, name, seed).to(options_.dtype);
    from_file({file.raw(), static_cast<std::size_t>(file.bytes())}, data->layout,
              values.view(first, data->shape));
  }
  const Tensor states = Tensor::zeros(buffer_.shape(), options_.dtype);
  for (const auto& [name, data, first] : buffers_)
    states.view(first, data->shape).copy_from(Tensor::full(data->shape, data->initial, options_.dtype));
  value_.copy_from(values.to(options_.device));
  buffer_.copy_from(states.to(options_.device));
  reset_training();
  mark_filled();
}

void ParameterStore::reset_training() {
  if (ema_.defined()) ema_.copy_from(value_);
  if (!options_.training) return;
  adam_m_.zero();
  adam_v_.zero();
}

void ParameterStore::mark_filled() {
  filled_ = true;
  bind(value_);
  for (const auto& [name, data, first] : buffers_) data->value = buffer_.view(first, data->shape);
}

void ParameterStore::bind(const Tensor& arena) {
  for (const auto& [name, data, first] : parameters_) data->value = arena.view(first, data->shape);
}

void ParameterStore::begin_step() {
  MLD_CHECK(
      options_.training && filled_,
      "parameter store: a training step needs a store with training = true that is initialised or loaded");
  for (const auto& entry : parameters_) entry.data->sink.written = false;
}

void ParameterStore::begin_step(StepCounter& counter) {
  begin_step();
  const std::int64_t buffers = buffer_.numel();
  dispatch_float(options_.dtype, "parameter store", [&]<class T>() {
    for_each(options_.device, std::max<std::int64_t>(1, buffers),
             KeepBuffer<T>{counter.beginning(), buffer_.ptr<T>(), buffer_kept_.ptr<T>(), buffers});
  });
}

void ParameterStore::finish_backward() {
  for (const auto& entry : parameters_)
    if (!entry.data->sink.written) entry.data->sink.grad.zero();
}

void ParameterStore::finish_step(StepCounter& counter) {
  const std::int64_t buffers = buffer_.numel();
  dispatch_float(options_.dtype, "parameter store", [&]<class T>() {
    for_each(options_.device, std::max<std::int64_t>(1, buffers),
             RestoreBuffer<T>{counter.committing(), buffer_.ptr<T>(), buffer_kept_.ptr<T>(), buffers});
  });
}

EmaScope::EmaScope(ParameterStore& store) : store_(store) {
  MLD_CHECK(store.ema_.defined(), "EMA: this store was made without EMA weights");
  MLD_CHECK(store.filled_, "EMA: the store is neither initialised nor loaded");
  store_.bind(store_.ema_);
}

EmaScope::~EmaScope() { store_.bind(store_.value_); }

}  // namespace mld::nn
