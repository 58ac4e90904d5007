// Parameters of a model, and the store that owns their memory.
//
// A module is a plain struct with `void visit(Visitor&)` naming its parts; that one function serves packing,
// names, initial values, saving and loading. A ParameterStore walks it once and lays every parameter at a
// 256-byte boundary of five arenas of one layout (value, gradient, Adam's m and v, EMA), so that the
// optimiser is one pass, and running a model with its EMA weights is a change of pointers. Using a parameter
// that no store has packed throws, which catches a part forgotten in `visit`.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/tape.h"
#include "engine/runtime/step_state.h"
#include "nn/file_layout.h"
#include "nn/init.h"

namespace mld::nn {

// Trained values. Movable (the memory stays where it is), not copyable. A default-constructed one is absent,
// as the bias of a layer without bias: it is not visited and var() is undefined.
class Parameter {
 public:
  struct Data {
    Shape shape;
    Init init;
    FileLayout layout;
    Tensor value;   // undefined until packed and filled; the EMA while an EmaScope is alive
    GradSink sink;  // gradient undefined in a store that does not train
    bool packed = false;
  };

  Parameter() = default;
  Parameter(Shape shape, Init init);
  Parameter(Shape shape, Init init, FileLayout layout);

  explicit operator bool() const { return data_ != nullptr; }
  // The value, recorded as a leaf if a tape is alive and the store trains. Throws if it was never packed, or
  // neither initialised nor loaded.
  Var var() const;
  const Tensor& value() const;  // same checks
  const Tensor& grad() const { return data_->sink.grad; }
  const Shape& shape() const { return data_->shape; }
  void set_init(Init init);            // before packing
  void set_layout(FileLayout layout);  // before packing
  const std::shared_ptr<Data>& data() const { return data_; }

 private:
  std::shared_ptr<Data> data_;
};

// State that is saved but not trained (running statistics of batch normalisation). EMA weights are used with
// the same buffers as the trained ones.
class Buffer {
 public:
  struct Data {
    Shape shape;
    double initial = 0;
    FileLayout layout;
    Tensor value;
    bool packed = false;
  };

  Buffer() = default;
  Buffer(Shape shape, double initial);

  explicit operator bool() const { return data_ != nullptr; }
  const Tensor& value() const;  // throws like Parameter::var
  void set_layout(FileLayout layout);
  const std::shared_ptr<Data>& data() const { return data_; }

 private:
  std::shared_ptr<Data> data_;
};

// Number of a drawing call inside a model (one per dropout layer), given out in visiting order when a store
// packs it.
struct DrawSite {
  std::int32_t number = -1;
};

// Walks a model: modules write v("name", part) for every parameter, buffer and module they contain.
class Visitor {
 public:
  template <class T>
  struct Named {
    std::string name;  // path, parts joined with '.'
    std::shared_ptr<typename T::Data> data;
  };

  void operator()(std::string_view name, Parameter& parameter);
  void operator()(std::string_view name, Buffer& buffer);
  void operator()(std::string_view name, DrawSite& site);
  template <class M>
  void operator()(std::string_view name, std::vector<M>& parts) {
    const std::size_t kept = enter(name);
    for (std::size_t i = 0; i < parts.size(); ++i) (*this)(std::to_string(i), parts[i]);
    path_.resize(kept);
  }
  template <class M>
  void operator()(std::string_view name, std::optional<M>& part) {
    if (part) (*this)(name, *part);
  }
  template <class M>
  void operator()(std::string_view name, M& part) {
    const std::size_t kept = enter(name);
    part.visit(*this);
    path_.resize(kept);
  }

  const std::vector<Named<Parameter>>& parameters() const { return parameters_; }
  const std::vector<Named<Buffer>>& buffers() const { return buffers_; }
  int sites() const { return sites_; }
  std::int64_t parameter_count() const;  // trained values

 private:
  std::size_t enter(std::string_view name);  // returns the length of the path to go back to
  std::string full(std::string_view name) const;

  std::string path_;
  std::vector<Named<Parameter>> parameters_;
  std::vector<Named<Buffer>> buffers_;
  int sites_ = 0;
};

template <class M>
Visitor walk(M& model) {
  Visitor visitor;
  model.visit(visitor);
  return visitor;
}

// Number of trained values of a model, packed or not.
template <class M>
std::int64_t count_parameters(M& model) {
  return walk(model).parameter_count();
}

struct StoreOptions {
  Device device = kCpu;
  DType dtype = DType::f32;  // f64 for oracles
  bool training = true;      // gradients and Adam's moments exist
  bool ema = false;          // EMA weights exist
};

// Must outlive the use of the model: its destruction unpacks the model.
class ParameterStore {
 public:
  template <class M>
  explicit ParameterStore(M& model, StoreOptions options = {}) : ParameterStore(walk(model), options) {}
  ParameterStore(Visitor walked, StoreOptions options);
  ~ParameterStore();
  ParameterStore(ParameterStore&&) noexcept = default;
  ParameterStore(const ParameterStore&) = delete;
  ParameterStore& operator=(const ParameterStore&) = delete;

  // Draws the initial values, sets buffers to theirs, the EMA to a copy and the moments to zero.
  void initialize(std::uint64_t seed);
  // For loaders: after the arenas have been filled. Binds the model to the values.
  void mark_filled();
  // The EMA becomes a copy of the values, the moments zero.
  void reset_training();
  bool filled() const { return filled_; }

  std::int64_t count() const { return count_; }  // trained values, without padding
  int draw_sites() const { return sites_; }      // see DrawSite
  const StoreOptions& options() const { return options_; }

  // Start of a step: gradients count as empty. With a counter it ticks, and the buffers are kept aside.
  void begin_step();
  void begin_step(StepCounter& counter);
  // After backward: gradients of parameters that the step did not touch become zero.
  void finish_backward();
  // End of a step that began with the counter: commits it; if it was not ok the buffers are as they were.
  void finish_step(StepCounter& counter);

  // Arenas, one-dimensional; padding between parameters is zero. Undefined where the options say so.
  const Tensor& value() const { return value_; }
  const Tensor& grad() const { return grad_; }
  const Tensor& adam_m() const { return adam_m_; }
  const Tensor& adam_v() const { return adam_v_; }
  const Tensor& ema() const { return ema_; }
  const Tensor& buffer() const { return buffer_; }

  template <class T>
  struct Entry {
    std::string name;
    std::shared_ptr<typename T::Data> data;
    std::int64_t first = 0;  // element of the arena where it begins
  };
  const std::vector<Entry<Parameter>>& parameters() const { return parameters_; }
  const std::vector<Entry<Buffer>>& buffers() const { return buffers_; }

 private:
  friend class EmaScope;
  void bind(const Tensor& arena);

  StoreOptions options_;
  std::vector<Entry<Parameter>> parameters_;
  std::vector<Entry<Buffer>> buffers_;
  Tensor value_, grad_, adam_m_, adam_v_, ema_, buffer_, buffer_kept_;
  std::int64_t count_ = 0;
  int sites_ = 0;
  bool filled_ = false;
};

// While alive, the model computes with its EMA weights. Throws if the store has none. A step captured inside
// the scope keeps using the EMA weights when replayed, as the addresses are baked in.
class EmaScope {
 public:
  explicit EmaScope(ParameterStore& store);
  ~EmaScope();
  EmaScope(const EmaScope&) = delete;
  EmaScope& operator=(const EmaScope&) = delete;

 private:
  ParameterStore& store_;
};

}  // namespace mld::nn
