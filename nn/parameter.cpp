#include "nn/parameter.h"

#include <utility>

namespace mld::nn {
namespace {

template <class Data>
const Tensor& usable(const std::shared_ptr<Data>& data) {
  MLD_CHECK(data != nullptr, "parameter: a value is asked of a part that the layer does not have");
  MLD_CHECK(data->packed, "parameter ", data->shape,
            ": belongs to no ParameterStore (it is missing in its module's visit, or its store is gone)");
  MLD_CHECK(data->value.defined(), "parameter ", data->shape, ": neither initialised nor loaded");
  return data->value;
}

template <class Data>
Data& unpacked(const std::shared_ptr<Data>& data) {
  MLD_CHECK(data != nullptr && !data->packed,
            "parameter: its description changes after a store has packed it");
  return *data;
}

}  // namespace

Parameter::Parameter(Shape shape, Init init) : Parameter(shape, init, plain_layout(shape)) {}

Parameter::Parameter(Shape shape, Init init, FileLayout layout) : data_(std::make_shared<Data>()) {
  data_->shape = std::move(shape);
  data_->init = init;
  data_->layout = std::move(layout);
}

Var Parameter::var() const {
  if (!data_) return {};
  const Tensor& value = usable(data_);
  Tape* tape = Tape::current();
  if (!tape || !data_->sink.grad.defined()) return value;
  return {value, tape->leaf(&data_->sink)};
}

const Tensor& Parameter::value() const { return usable(data_); }
void Parameter::set_init(Init init) { unpacked(data_).init = init; }
void Parameter::set_layout(FileLayout layout) { unpacked(data_).layout = std::move(layout); }

Buffer::Buffer(Shape shape, double initial) : data_(std::make_shared<Data>()) {
  data_->layout = plain_layout(shape);
  data_->shape = std::move(shape);
  data_->initial = initial;
}

const Tensor& Buffer::value() const { return usable(data_); }
void Buffer::set_layout(FileLayout layout) { unpacked(data_).layout = std::move(layout); }

void Visitor::operator()(std::string_view name, Parameter& parameter) {
  if (parameter) parameters_.push_back({full(name), parameter.data()});
}

void Visitor::operator()(std::string_view name, Buffer& buffer) {
  if (buffer) buffers_.push_back({full(name), buffer.data()});
}

void Visitor::operator()(std::string_view, DrawSite& site) { site.number = sites_++; }

std::size_t Visitor::enter(std::string_view name) {
  const std::size_t length = path_.size();
  path_ += name;
  path_ += '.';
  return length;
}

std::string Visitor::full(std::string_view name) const { return path_ + std::string(name); }

std::int64_t Visitor::parameter_count() const {
  std::int64_t count = 0;
  for (const auto& [name, data] : parameters_) count += data->shape.numel();
  return count;
}

}  // namespace mld::nn
